"""How the model moves jobs for operators (wire format, sections 7.8, 7.9, 7.12 to 7.15)."""

from __future__ import annotations

from tests.property.lifecycle.families import descendants, put_back, remove, unlink
from tests.property.lifecycle.world import FINISHED, READY, ModelJob, ModelQueue, Ref, World

from oxcart import JobState
from oxcart._wire.codes import Code

LOCKED, REMOVED = 0, 1
SCORED_BY_TIME = (*FINISHED, JobState.WAITING_CHILDREN)


def promote(world: World, job: ModelJob) -> int:
    """Make a delayed job ready."""
    if job.state is not JobState.DELAYED:
        return Code.NOT_IN_STATE
    world.make_ready("promote", job)
    job.delay_ms = 0
    world.wake(world.queue_of(job))
    return Code.OK


def change_delay(world: World, job: ModelJob, delay_ms: int) -> int:
    """Change when a delayed job is due."""
    if job.state is not JobState.DELAYED:
        return Code.NOT_IN_STATE
    job.delay_ms = delay_ms
    world.make_delayed("change_delay", job, world.now_ms + delay_ms)
    world.mark_due(world.queue_of(job))
    return Code.OK


def change_priority(world: World, job: ModelJob, priority: int, *, is_next: bool) -> int:
    """Change a job's priority, and its place if it is ready."""
    job.priority = priority
    queue = world.queue_of(job)
    if job.state in READY:
        if priority and is_next:
            world.move("change_priority", job, JobState.PRIORITIZED, rank=priority * 2**32)
            queue.may_sleep = True  # BullMQ wakes nobody here
        else:
            world.make_ready("change_priority", job, is_next=is_next)
            world.wake(queue)
    return Code.OK


def cancel(world: World, job: ModelJob, reason: str) -> int:
    """Let the next worker fail a job unrun."""
    if job.state in FINISHED:
        return Code.NOT_IN_STATE
    job.deferred = reason
    if job.state is JobState.ACTIVE:
        return 1
    world.move("cancel", job, JobState.WAITING, is_next=True)
    job.delay_ms = 0
    world.wake(world.queue_of(job))
    return Code.OK


def reprocess(world: World, job: ModelJob, state: JobState, *, resets_attempts: bool) -> int:
    """Put a finished job back to be run."""
    if job.state is not state:
        return Code.NOT_IN_STATE
    _forget_end(job)
    if resets_attempts:
        job.attempts_made = job.attempts_started = 0
    world.make_ready("reprocess", job, is_next=job.is_lifo)
    world.wake(world.queue_of(job))
    put_back(world, job, was_completed=state is JobState.COMPLETED)
    return Code.OK


def reprocess_all(
    world: World, queue: ModelQueue, state: JobState, *, count: int, until_ms: int
) -> tuple[int, bool]:
    """Put a batch back to wait, all behind, whatever their priority."""
    most = until_ms * 4_096 + 4_095 if state is JobState.DELAYED else until_ms
    batch = [job for job in world.ranked(queue.name, state) if job.rank <= most][:count]
    for job in batch:
        if state is JobState.DELAYED:
            world.move("promote_all", job, JobState.WAITING)
        else:
            _forget_end(job)
            world.move("reprocess_all", job, JobState.WAITING)
            put_back(world, job, was_completed=state is JobState.COMPLETED)
    if batch:
        world.wake(queue)
    return len(batch), len(batch) == count


def remove_one(world: World, ref: Ref, *, with_children: bool) -> int:
    """Remove a job wherever it is, with its descendants if asked for."""
    job = world.jobs.get(ref)
    if job is not None and is_pending_iteration(world, job):
        return Code.SCHEDULER_JOB
    if job is None:
        return REMOVED
    family = [*(descendants(world, ref) if with_children else []), ref]
    if any(world.jobs[each].token is not None for each in family):
        return LOCKED
    for each in family:
        remove(world, world.jobs[each])
    return REMOVED


def remove_unprocessed(world: World, ref: Ref) -> int:
    """Remove a parent's pending children that are neither being run nor failed."""
    removed = 0
    parent = world.jobs.get(ref)
    for child in sorted(parent.pending) if parent else []:
        family = [*descendants(world, child), child]
        is_held = any(world.jobs[each].token is not None for each in family)
        if world.jobs[child].state is not JobState.FAILED and not is_held:
            for each in family:
                remove(world, world.jobs[each])
            removed += 1
    return removed


def cut_tie(world: World, job: ModelJob) -> int:
    """Cut the tie between a child and its parent."""
    if job.parent is None:
        return 1
    parent = world.jobs.get(job.parent)
    if parent is None:
        return Code.PARENT_MISSING
    if job.ref not in parent.pending:
        return 1
    unlink(world, job)
    job.parent = job.policy = None
    return Code.OK


def clean(
    world: World, queue: ModelQueue, state: JobState, *, limit: int, newest_ms: int | None
) -> list[str]:
    """Remove those of the first ``limit`` jobs of a state that are old; gives their ids."""
    removed = []
    for job in _first_of(world, queue, state, limit, newest_ms):
        is_pending = state not in SCORED_BY_TIME and is_pending_iteration(world, job)
        if job.token is not None or is_pending:
            continue
        if newest_ms is None or _age_counts_from(job, state) <= newest_ms:
            removed.append(job)
    for job in removed:
        remove(world, job)
    return [job.id for job in removed]


def obliterate(world: World, queue: ModelQueue, *, is_forced: bool) -> bool:
    """Remove a queue with everything in it; whether it was done."""
    pause(queue)
    if queue.active and not is_forced:
        return False
    queue.schedulers.clear()
    while refs := [ref for ref in sorted(world.jobs) if ref[0] == queue.name]:
        remove(world, world.jobs[refs[0]], name="obliterate")
    holders = {key: holder for key, holder in queue.holders.items() if holder.expires}
    world.queues[queue.name] = ModelQueue(queue.name, holders=holders, kept=queue.kept)
    return True


def pause(queue: ModelQueue) -> None:
    """Let nothing be taken."""
    queue.is_paused = True
    queue.is_awake, queue.due_token = False, None


def resume(world: World, queue: ModelQueue) -> None:
    """Let jobs be taken again."""
    queue.is_paused = False
    if world.refs(*READY, queue=queue.name):
        queue.is_awake = True
    else:
        world.mark_due(queue)


def is_pending_iteration(world: World, job: ModelJob) -> bool:
    """Whether a job is the one that its scheduler waits for."""
    if job.scheduler is None:
        return False
    due = world.queue_of(job).schedulers.get(job.scheduler)
    return job.id == f"repeat:{job.scheduler}:{due}"


def _first_of(
    world: World, queue: ModelQueue, state: JobState, limit: int, newest_ms: int | None
) -> list[ModelJob]:
    """The jobs that a sweep looks at: of a list, those at the end that is taken first."""
    if state in (JobState.WAITING, JobState.ACTIVE):
        ids = queue.wait if state is JobState.WAITING else queue.active
        return [world.jobs[queue.name, job_id] for job_id in ids[-limit:]]
    jobs = world.ranked(queue.name, state)
    if state in SCORED_BY_TIME and newest_ms is not None:
        jobs = [job for job in jobs if job.rank <= newest_ms]
    return jobs[:limit]


def _age_counts_from(job: ModelJob, state: JobState) -> float:
    if state in SCORED_BY_TIME:
        return job.rank
    return job.finished_at_ms or job.processed_at_ms or job.made_at_ms


def _forget_end(job: ModelJob) -> None:
    job.finished_at_ms = job.processed_at_ms = job.deferred = None
