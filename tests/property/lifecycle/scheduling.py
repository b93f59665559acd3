"""What the model knows of schedulers (wire format, sections 11.2, 11.3 and 11.5).

When their jobs are due is pinned elsewhere; here it is taken from the server's answer.
"""

from __future__ import annotations

from tests.property.lifecycle.adding import create
from tests.property.lifecycle.families import remove
from tests.property.lifecycle.world import READY, ModelJob, ModelQueue, NewJob, World

from oxcart import JobState


def iteration_id(scheduler: str, due_ms: int) -> str:
    """The id of a scheduler's job."""
    return f"repeat:{scheduler}:{due_ms}"


def pending_of(world: World, queue: ModelQueue, scheduler: str) -> ModelJob | None:
    """A scheduler's pending job, wherever it is."""
    due_ms = queue.schedulers.get(scheduler)
    return None if due_ms is None else world.jobs.get((queue.name, iteration_id(scheduler, due_ms)))


def upsert(world: World, queue: ModelQueue, scheduler: str, due_ms: int, *, priority: int) -> None:
    """Make or change a scheduler: a pending job that nobody took is replaced."""
    pending = pending_of(world, queue, scheduler)
    if pending is not None and pending.state in (*READY, JobState.DELAYED):
        remove(world, pending)
    _make(world, queue, scheduler, due_ms, priority)


def make_next(world: World, taken: ModelJob, due_ms: int) -> None:
    """Make the job after one that was taken."""
    assert taken.scheduler is not None
    _make(world, world.queue_of(taken), taken.scheduler, due_ms, 0)


def forget(world: World, queue: ModelQueue, scheduler: str) -> bool:
    """Remove a scheduler, with its pending job if that is delayed; whether there was one."""
    pending = pending_of(world, queue, scheduler)
    if pending is not None and pending.state is JobState.DELAYED:
        remove(world, pending)
    return queue.schedulers.pop(scheduler, None) is not None


def _make(world: World, queue: ModelQueue, scheduler: str, due_ms: int, priority: int) -> None:
    queue.counter += 1
    queue.schedulers[scheduler] = due_ms
    delay_ms = max(0, due_ms - world.now_ms)
    job_id = iteration_id(scheduler, due_ms)
    create(world, NewJob(queue=queue.name, delay_ms=delay_ms, priority=priority), job_id)
    world.jobs[queue.name, job_id].scheduler = scheduler
