"""How the model adds jobs: alone, deduplicated, as flows (wire format, sections 7.1 to 8.2)."""

from __future__ import annotations

from collections.abc import Sequence

from tests.property.lifecycle.families import adopt, drop, release
from tests.property.lifecycle.world import Holder, ModelJob, ModelQueue, NewJob, Ref, World

from oxcart import JobState
from oxcart._store.calls.adding import AddStatus
from oxcart._wire.codes import Code

Answer = tuple[str, int]
"""A job's id, and what became of its add."""


def add(world: World, new: NewJob) -> Answer:
    """Add a job."""
    refusal = _refusal_of(world, new, is_inner=False)
    if refusal is not None:
        return new.id or "", refusal
    return _add(world, new, releases=True)


def add_flow(world: World, nodes: Sequence[NewJob]) -> list[Answer]:
    """Add a tree, its root first: all of it or nothing."""
    for at, node in enumerate(nodes):
        refusal = _refusal_of(world, node, is_inner=at > 0)
        if refusal is not None:
            return [(node.id or "", refusal)]
    answers = [_add(world, node, releases=at == 0) for at, node in enumerate(nodes)]
    for node in nodes:
        parent = world.jobs[node.queue, node.id or ""]
        if node.has_children and not parent.pending:
            release(world, parent)
    return answers


def create(world: World, new: NewJob, job_id: str) -> None:
    """Make a job and put it where it belongs."""
    queue = world.queues[new.queue]
    job = ModelJob(
        queue=new.queue,
        id=job_id,
        made_at_ms=world.now_ms,
        priority=new.priority,
        delay_ms=new.delay_ms,
        is_lifo=new.is_lifo,
        dedup_id=None if new.dedup is None else new.dedup.id,
        parent=new.parent,
        policy=new.policy if new.parent else None,
    )
    world.jobs[job.ref] = job
    if new.has_children:
        world.move("add", job, JobState.WAITING_CHILDREN, rank=world.now_ms)
    elif new.delay_ms:
        world.make_delayed("add", job, world.now_ms + new.delay_ms)
        world.mark_due(queue)
    else:
        world.make_ready("add", job, is_next=new.is_lifo)
        world.wake(queue)


def end_dedup(world: World, job: ModelJob) -> None:
    """Free the deduplication id of a job that ended, and make the job that was kept for later."""
    queue = world.queue_of(job)
    if job.dedup_id is None:
        return
    holder = queue.holders.get(job.dedup_id)
    if holder is not None and holder.job_id == job.id and not holder.expires:
        del queue.holders[job.dedup_id]
    kept = queue.kept.pop(job.dedup_id, None)
    if kept is None or (queue.name, kept.id) in world.jobs:
        return
    assert kept.id is not None
    assert kept.dedup is not None
    queue.counter += 1
    expires = kept.dedup.ttl is not None and not kept.dedup.keep_last_if_active
    queue.holders[job.dedup_id] = Holder(kept.id, expires)
    create(world, kept, kept.id)


def _refusal_of(world: World, new: NewJob, *, is_inner: bool) -> int | None:
    if new.parent is None:
        return None
    if not is_inner and new.parent not in world.jobs:
        return Code.PARENT_MISSING
    own = world.jobs.get((new.queue, new.id or ""))
    if own is not None and own.parent != new.parent and own.parent in world.jobs:
        return Code.PARENT_CONFLICT
    return None


def _add(world: World, new: NewJob, *, releases: bool) -> Answer:
    queue = world.queues[new.queue]
    queue.counter += 1
    job_id = new.id or str(queue.counter)
    own = world.jobs.get((new.queue, job_id))
    if own is not None:
        if new.parent is not None:
            adopt(world, own, new.parent, releases=releases)
            own.parent, own.policy = new.parent, new.policy
        return job_id, AddStatus.EXISTS
    holder = _deduplicate(world, queue, new, job_id)
    if holder is not None:
        return holder, AddStatus.DEDUPLICATED
    create(world, new, job_id)
    if new.parent is not None:
        world.jobs[new.parent].pending.add((new.queue, job_id))
    return job_id, AddStatus.ADDED


def _deduplicate(world: World, queue: ModelQueue, new: NewJob, job_id: str) -> str | None:
    """Whose job it is: nobody's if the new one may be added, else the holder's id."""
    dedup = new.dedup
    if dedup is None:
        return None
    mine = Holder(job_id, dedup.ttl is not None and not dedup.keep_last_if_active)
    holder = queue.holders.get(dedup.id)
    if holder is None:
        queue.holders[dedup.id] = mine
        return None
    other = world.jobs.get((queue.name, holder.job_id))
    is_delayed = other is not None and other.state is JobState.DELAYED
    is_stale = other is None and not holder.expires
    if is_stale or (dedup.replace and is_delayed):
        queue.kept.pop(dedup.id, None)
        queue.holders[dedup.id] = mine
        if other is not None:
            drop(world, other, name="replace")
            if mine.expires and not dedup.extend:
                mine.expires = holder.expires
        return None
    _change_holder(world, queue, new, job_id)
    return holder.job_id


def _change_holder(world: World, queue: ModelQueue, new: NewJob, job_id: str) -> None:
    """What an add that is dropped does to the job that stays."""
    dedup = new.dedup
    assert dedup is not None
    holder = queue.holders[dedup.id]
    other = world.jobs.get((queue.name, holder.job_id))
    state = JobState.UNKNOWN if other is None else other.state
    if dedup.keep_last_if_active and state is JobState.ACTIVE:
        new.id = job_id
        queue.kept[dedup.id] = new
        holder.expires = False
    elif not dedup.replace:
        if dedup.extend and dedup.ttl is not None and not dedup.keep_last_if_active:
            holder.expires = True
        if dedup.reschedule and other is not None and state is JobState.DELAYED:
            other.delay_ms = new.delay_ms
            world.make_delayed("reschedule", other, world.now_ms + new.delay_ms)
            world.mark_due(queue)


def is_ancestor(world: World, ref: Ref, of: Ref | None) -> bool:
    """Whether a job is another one, or above it: then it cannot become its child."""
    seen: set[Ref] = set()
    while of is not None and of not in seen:
        if of == ref:
            return True
        seen.add(of)
        job = world.jobs.get(of)
        of = None if job is None else job.parent
    return False
