"""What the model knows of parents and children (wire format, sections 7.15 and 8)."""

from __future__ import annotations

from tests.property.lifecycle.world import STEP, ModelJob, Ref, World

from oxcart import JobState


def release(world: World, parent: ModelJob, *, name: str = "release") -> None:
    """Let a parent go on that waits for its children."""
    if parent.state is not JobState.WAITING_CHILDREN and name == "release":
        return
    queue = world.queue_of(parent)
    if parent.delay_ms:
        rank = (world.now_ms + parent.delay_ms) * STEP
        world.move(name, parent, JobState.DELAYED, rank=rank)
        world.mark_due(queue)
    else:
        world.make_ready(name, parent, is_next=True)
        world.wake(queue)


def settle(world: World, child: ModelJob) -> ModelJob | None:
    """Take a child out of its parent's pending ones; the parent, if it was there."""
    parent = world.jobs.get(child.parent) if child.parent else None
    if parent is None or child.ref not in parent.pending:
        return None
    parent.pending.discard(child.ref)
    return parent


def child_completed(world: World, child: ModelJob) -> None:
    """Tell a completed job's parent."""
    parent = settle(world, child)
    if parent is not None:
        parent.processed.add(child.ref)
        if not parent.pending:
            release(world, parent)


def child_failed(world: World, child: ModelJob) -> None:
    """Do to a finally failed job's parent what its policy says."""
    if child.policy is None:
        return
    parent = settle(world, child)
    if parent is None:
        return
    match child.policy:
        case "fail":
            _fail_parent(world, parent, child)
        case "continue":
            release(world, parent)
            parent.ignored.add(child.ref)
        case "ignore" | "remove":
            if not parent.pending:
                release(world, parent)
            if child.policy == "ignore":
                parent.ignored.add(child.ref)


def _fail_parent(world: World, parent: ModelJob, child: ModelJob) -> None:
    parent.failing.add(child.ref)
    if parent.state is JobState.FAILED:
        return
    parent.deferred = f"child {child.id} failed"
    if parent.state is JobState.DELAYED:
        parent.delay_ms = 0
    if parent.state in (JobState.DELAYED, JobState.WAITING_CHILDREN):
        release(world, parent, name="fail_parent")


def unlink(world: World, child: ModelJob) -> None:
    """Let a parent go on that waited for a job that is removed; its delay and priority are not
    looked at.
    """
    parent = settle(world, child)
    if parent is None or parent.pending or parent.state is not JobState.WAITING_CHILDREN:
        return
    world.move("release", parent, JobState.WAITING, is_next=True)
    world.wake(world.queue_of(parent))


def put_back(world: World, child: ModelJob, *, was_completed: bool) -> None:
    """Make a child that is run again a pending one."""
    parent = world.jobs.get(child.parent) if child.parent else None
    if parent is None:
        return
    kinds = [parent.processed] if was_completed else [parent.failing, parent.ignored]
    if any(child.ref in kind for kind in kinds):
        for kind in kinds:
            kind.discard(child.ref)
        parent.pending.add(child.ref)


def adopt(world: World, child: ModelJob, new_parent: Ref, *, releases: bool) -> None:
    """Make a job that is there already a child; its policy comes with the link."""
    parent = world.jobs[new_parent]
    if child.state is JobState.COMPLETED:
        parent.processed.add(child.ref)
        if releases and not parent.pending:
            release(world, parent)
    else:
        parent.pending.add(child.ref)


def descendants(world: World, ref: Ref) -> list[Ref]:
    """The descendants of a job that are there, each after its own.

    A job that came after a child that is gone, and has its id, is none.
    """
    job = world.jobs[ref]
    children = {*job.processed, *job.ignored, *job.failing, *job.pending}
    found = []
    for child in sorted(children & world.jobs.keys()):
        if world.jobs[child].parent == ref:
            found += [*descendants(world, child), child]
    return found


def remove(world: World, job: ModelJob, *, name: str = "remove") -> None:
    """Remove a job with its keys, because somebody asked for it."""
    queue = world.queue_of(job)
    if job.dedup_id is not None:
        holder = queue.holders.get(job.dedup_id)
        if holder is not None and holder.job_id == job.id:
            del queue.holders[job.dedup_id]
            queue.kept.pop(job.dedup_id, None)
    drop(world, job, name=name)


def drop(world: World, job: ModelJob, *, name: str) -> None:
    """Remove a job with its keys, and nothing else."""
    unlink(world, job)
    world.move(name, job, JobState.UNKNOWN)
