"""Letting every job come to its end, as workers and an operator would: nothing may be stuck."""

from __future__ import annotations

from tests.property.lifecycle import operating
from tests.property.lifecycle.driver import KEEP_ALL, Driver
from tests.property.lifecycle.running import Run, check_stalled
from tests.property.lifecycle.scheduling import forget
from tests.property.lifecycle.world import FINISHED, ModelJob

from oxcart import JobState
from oxcart._model.outcome import Completed, Failed, Outcome, WaitingForChildren
from oxcart._store.calls import holding, limits, moving, scheduling, switching

ROUNDS = 60
DAY_MS = 86_400_000


def drive_to_the_end(driver: Driver) -> None:
    """Lift what holds jobs back, then run all of them until none is left."""
    for name in driver.keys:
        _stop_schedulers(driver, name)
        _lift_limits(driver, name)
        for _ in range(2):
            recover(driver, name, most=1)
    driver.check()
    for _ in range(ROUNDS):
        if not _unfinished(driver):
            return
        driver.world.now_ms += DAY_MS
        for name in driver.keys:
            _run_all(driver, name)
        _help_those_that_wait(driver)
        driver.check()
    stuck = [f"{job.ref}: {job.state}" for job in _unfinished(driver)]
    raise AssertionError(f"stuck: {', '.join(stuck)}")


def recover(driver: Driver, name: str, *, most: int) -> None:
    """Run the stalled check on both sides."""
    keys = driver.keys[name]
    driver.server.client.delete(keys.stalled_check)
    call = holding.recover_stalled(keys, clock=driver, interval_ms=10_000, max_stalled=most)
    recovered = driver.run(call)
    assert recovered is not None
    check_stalled(driver.world, driver.world.queues[name], recovered, most)


def _stop_schedulers(driver: Driver, name: str) -> None:
    queue = driver.world.queues[name]
    for scheduler in list(queue.schedulers):
        assert driver.run(scheduling.remove_scheduler(driver.keys[name], scheduler))
        forget(driver.world, queue, scheduler)


def _lift_limits(driver: Driver, name: str) -> None:
    queue, keys = driver.world.queues[name], driver.keys[name]
    driver.run(limits.set_concurrency(keys, None))
    driver.run(limits.set_rate_limit(keys, None))
    driver.run(limits.lift_rate_limit(keys))
    driver.run(switching.resume(keys, is_first=True))
    queue.concurrency = queue.rate_max = queue.started = None
    operating.resume(driver.world, queue)


def _run_all(driver: Driver, name: str) -> None:
    """Take and end jobs until the queue gives no more."""
    world = driver.world
    runs = [Run(job, end_of(job), KEEP_ALL) for job in world.held(name)]
    while taken := driver.step(name, runs, 10):
        runs = [Run(job, end_of(job), KEEP_ALL) for job in taken]
        runs += [Run(job, end_of(job), KEEP_ALL) for job in world.held(name) if job not in taken]


def end_of(job: ModelJob) -> Outcome:
    """How a handler without faults ends a job."""
    if job.deferred is not None or job.failing:
        return Failed("no", "")
    return WaitingForChildren() if job.pending else Completed(b"1")


def _help_those_that_wait(driver: Driver) -> None:
    """Do what an operator must: retry failed children that parents wait for, or remove them."""
    world = driver.world
    for ref in world.refs(JobState.WAITING_CHILDREN):
        for child in sorted(world.jobs[ref].pending if ref in world.jobs else ()):
            job = world.jobs[child]
            if job.state is JobState.FAILED:
                _retry_or_remove(driver, job)


def _retry_or_remove(driver: Driver, job: ModelJob) -> None:
    """Retry a failed job; one that cannot complete because of a child of its own, after that."""
    world, keys = driver.world, driver.keys[job.queue]
    for child in sorted(job.failing):
        if child in world.jobs and world.jobs[child].state is JobState.FAILED:
            _retry_or_remove(driver, world.jobs[child])
    if job.failing:
        call = moving.remove(keys, job.id, with_children=False)
        assert operating.remove_one(world, job.ref, with_children=False) == driver.run(call)
        return
    call = moving.reprocess(keys, job.id, JobState.FAILED, resets_attempts=True)
    expected = operating.reprocess(world, job, JobState.FAILED, resets_attempts=True)
    assert expected == driver.run(call)


def _unfinished(driver: Driver) -> list[ModelJob]:
    return [job for job in driver.world.jobs.values() if job.state not in FINISHED]
