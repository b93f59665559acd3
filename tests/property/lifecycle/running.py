"""How the model takes and ends jobs (wire format, sections 7.4 to 7.7, 7.11 and 9)."""

from __future__ import annotations

from dataclasses import dataclass

from tests.property.lifecycle.adding import end_dedup
from tests.property.lifecycle.families import child_completed, child_failed, drop
from tests.property.lifecycle.world import MANUAL, READY, ModelJob, ModelQueue, World

from oxcart import JobState, Retention
from oxcart._model.outcome import (
    Completed,
    Delayed,
    Failed,
    GivenBack,
    Outcome,
    RateLimited,
    Retried,
    WaitingForChildren,
)
from oxcart._wire.codes import Code

NOTHING_TO_WAIT_FOR = 1


@dataclass(frozen=True, slots=True)
class Run:
    """A run to end."""

    job: ModelJob
    outcome: Outcome
    keep: Retention


def step(world: World, queue: ModelQueue, runs: list[Run], count: int, token: str) -> list[int]:
    """End runs and take jobs; gives the runs' codes."""
    prunes: dict[JobState, Retention] = {}
    codes = [_end(world, run, prunes) for run in runs]
    for state, keep in prunes.items():
        _prune(world, queue, state, keep)
    taken = take(world, queue, count, token) if count else 0
    was_delayed = any(
        code == Code.OK and _is_put_off(run.outcome) for code, run in zip(codes, runs, strict=True)
    )
    if was_delayed and taken < max(1, count):
        world.mark_due(queue)
    return codes


def take(world: World, queue: ModelQueue, count: int, token: str) -> int:
    """Take the jobs that are next; gives how many."""
    promote_due(world, queue)
    unlimited = _admitted(queue, count)
    taken = 0
    for _ in range(unlimited):
        job = _next_ready(world, queue)
        if queue.is_blocked or job is None:
            break
        world.move("take", job, JobState.ACTIVE)
        job.token, job.processed_at_ms = token, world.now_ms
        job.attempts_started += 1
        taken += 1
        if queue.rate_max is not None and job.deferred is None:
            queue.started = (queue.started or 0) + 1
    queue.is_awake = queue.is_awake or taken > 0
    return taken


def promote_due(world: World, queue: ModelQueue) -> None:
    """Make ready what is due."""
    delayed = world.ranked(queue.name, JobState.DELAYED)
    due = [job for job in delayed if job.rank // 4_096 <= world.now_ms]
    for job in due:
        world.make_ready("fall_due", job)
        job.delay_ms = 0
    if due:
        world.wake(queue)


def check_stalled(world: World, queue: ModelQueue, recovered: list[str], most: int) -> None:
    """Recover what lost its lock since the last check."""
    lost = {job_id for job_id in queue.active if world.jobs[queue.name, job_id].token is None}
    assert lost & queue.suspects == set(recovered)
    for job_id in recovered:
        job = world.jobs[queue.name, job_id]
        job.stalled_count += 1
        if job.stalled_count > most and job.scheduler not in queue.schedulers:
            job.deferred = "job stalled more than allowable limit"
        world.move("recover", job, JobState.WAITING, is_next=True)
        world.wake(queue)
    queue.suspects = set(queue.active)


def _next_ready(world: World, queue: ModelQueue) -> ModelJob | None:
    if queue.wait:
        return world.jobs[queue.name, queue.wait[-1]]
    ranked = world.ranked(queue.name, JobState.PRIORITIZED)
    return ranked[0] if ranked else None


def _admitted(queue: ModelQueue, count: int) -> int:
    """How many jobs the rate limit lets start now."""
    if queue.started == MANUAL:
        return 0
    if queue.rate_max is None:
        return count
    return min(count, max(0, queue.rate_max - (queue.started or 0)))


def _is_put_off(outcome: Outcome) -> bool:
    return isinstance(outcome, Delayed) or (isinstance(outcome, Retried) and outcome.delay_ms > 0)


def _end(world: World, run: Run, prunes: dict[JobState, Retention]) -> int:
    job = run.job
    match run.outcome:
        case Completed() if job.pending:
            return Code.PENDING_CHILDREN
        case Completed() | WaitingForChildren() if job.failing:
            return Code.FAILED_CHILDREN
        case WaitingForChildren() if not job.pending:
            return NOTHING_TO_WAIT_FOR
    if isinstance(run.outcome, Retried) and not run.outcome.delay_ms:
        promote_due(world, world.queue_of(job))
    job.token = None
    queue = world.queue_of(job)
    queue.suspects.discard(job.id)
    queue.active.remove(job.id)  # first of all: whom it wakes finds its place free
    match run.outcome:
        case Completed():
            end_dedup(world, job)
            child_completed(world, job)
            _finish(world, run, prunes, "complete", JobState.COMPLETED)
        case Failed():
            end_dedup(world, job)
            child_failed(world, job)
            _finish(world, run, prunes, "fail", JobState.FAILED)
        case WaitingForChildren():
            rank = world.now_ms
            world.move("wait_for_children", job, JobState.WAITING_CHILDREN, rank=rank)
        case _:
            _put_back(world, job, run.outcome)
    return Code.OK


def _finish(
    world: World, run: Run, prunes: dict[JobState, Retention], name: str, state: JobState
) -> None:
    job, queue = run.job, world.queue_of(run.job)
    job.attempts_made += 1
    job.deferred = None
    if run.keep.count == 0:
        drop(world, job, name=name)
        return
    if state in prunes and prunes[state] != run.keep:
        _prune(world, queue, state, prunes[state])
    world.move(name, job, state, rank=world.now_ms)
    job.finished_at_ms = world.now_ms
    prunes[state] = run.keep


def _prune(world: World, queue: ModelQueue, state: JobState, keep: Retention) -> None:
    if keep.age_seconds is not None:
        oldest = world.now_ms - keep.age_seconds * 1_000
        old = [job for job in world.ranked(queue.name, state) if job.rank <= oldest]
        for job in old[::-1][: keep.limit]:
            drop(world, job, name="prune")
    if keep.count is not None:
        jobs = world.ranked(queue.name, state)
        for job in jobs[: max(0, len(jobs) - keep.count)]:
            drop(world, job, name="prune")


def _put_back(world: World, job: ModelJob, outcome: Outcome) -> None:
    queue = world.queue_of(job)
    match outcome:
        case Retried(delay_ms=0):
            world.make_ready("retry", job, is_next=job.is_lifo)
            world.wake(queue)
        case Retried(delay_ms=delay_ms):
            job.delay_ms = delay_ms
            world.make_delayed("retry", job, world.now_ms + delay_ms)
        case Delayed(delay_ms=delay_ms, until_ms=until_ms):
            job.delay_ms = max(0, until_ms - world.now_ms) if until_ms else delay_ms
            world.make_delayed("delay", job, world.now_ms + job.delay_ms)
        case GivenBack() | RateLimited():
            _give_back(world, queue, job)
    if isinstance(outcome, RateLimited):
        queue.started = MANUAL
    job.attempts_made += isinstance(outcome, Retried)


def _give_back(world: World, queue: ModelQueue, job: ModelJob) -> None:
    if job.priority:
        world.move("give_back", job, JobState.PRIORITIZED, rank=job.priority * 2**32)
        queue.may_sleep = True  # BullMQ wakes nobody here
    else:
        world.move("give_back", job, JobState.WAITING, is_next=True)
        world.wake(queue)


def ready_count(world: World, queue: ModelQueue) -> int:
    """How many jobs could be taken."""
    return len(world.refs(*READY, queue=queue.name))
