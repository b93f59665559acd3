"""Cancelling jobs from outside: whoever runs them, wherever they are."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import Any

import pytest
from tests.integration.engine.running import QUICK, is_in, running
from tests.integration.queue.hand import Hand

from oxcart import App, FailedJob, Job, JobInterrupted, JobState, Queue, Schedule
from oxcart._engine.iterations import IterationMaker
from oxcart._store.call import Call, command
from oxcart.errors import JobFailed

CANCEL_S = 5
"""Two seconds are promised; a busy machine gets a little more."""


async def test_running_handler_is_cancelled(app: App, queue: Queue) -> None:
    was_cancelled = asyncio.Event()

    @app.job
    async def work() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            was_cancelled.set()
            raise

    async with running(app.worker(lock="30s")):
        job = await is_in(queue, await work.enqueue(), JobState.ACTIVE)
        assert await job.cancel("no longer wanted")
        async with asyncio.timeout(CANCEL_S):
            with pytest.raises(JobFailed, match="no longer wanted"):
                await job.result()

    assert was_cancelled.is_set()
    ended = await job.refresh()
    assert (1, "no longer wanted", None) == (
        ended.attempts_made,
        ended.failed_reason,
        ended.deferred_failure,
    )


async def test_running_plain_function_is_interrupted(app: App, queue: Queue) -> None:
    interrupted = threading.Event()

    @app.job
    def work() -> None:
        try:
            while True:
                time.sleep(0.01)
        except JobInterrupted:
            interrupted.set()
            raise

    async with running(app.worker(lock="30s")):
        job = await is_in(queue, await work.enqueue(), JobState.ACTIVE)
        assert await job.cancel()
        async with asyncio.timeout(CANCEL_S):
            with pytest.raises(JobFailed, match="cancelled"):
                await job.result()

    assert interrupted.is_set()


@pytest.mark.parametrize("options", [{}, {"priority": 3}, {"delay": "1h"}])
async def test_job_that_is_not_running_is_never_run(
    app: App, queue: Queue, options: dict[str, Any]
) -> None:
    runs: list[None] = []
    told: list[FailedJob] = []

    async def on_failure(job: FailedJob) -> None:
        told.append(job)

    @app.job(on_failure=on_failure)
    async def work() -> None:
        runs.append(None)

    job: Job[None] = await work.options(**options).enqueue()
    assert not await job.cancel("never mind")
    async with running(app.worker(**QUICK)):
        with pytest.raises(JobFailed, match="never mind"):
            await job.result()

    assert [] == runs
    assert ["never mind"] == [failed.reason for failed in told]


async def test_cancelled_job_is_not_run_again_after_its_worker_died(app: App, queue: Queue) -> None:
    """The request is kept with the job, not only told to the worker."""
    runs: list[None] = []

    @app.job
    async def work() -> None:
        runs.append(None)

    job = await work.enqueue()
    await Hand(queue).take()
    assert await job.cancel("no longer wanted")
    await queue._store.run(_delete_lock(queue, job.id))

    async with running(app.worker(**QUICK)):
        with pytest.raises(JobFailed, match="no longer wanted"):
            await job.result()

    assert [] == runs


async def test_cancelling_one_job_leaves_its_neighbours_alone(app: App, queue: Queue) -> None:
    release = asyncio.Event()

    @app.job
    async def work() -> str:
        await release.wait()
        return "done"

    async with running(app.worker({"default": 2}, lock="30s")):
        doomed = await is_in(queue, await work.enqueue(), JobState.ACTIVE)
        other = await is_in(queue, await work.enqueue(), JobState.ACTIVE)
        await doomed.cancel()
        with pytest.raises(JobFailed):
            await doomed.result()
        release.set()
        assert "done" == await other.result()


def _delete_lock(queue: Queue, job_id: str) -> Call[int]:
    return command(("DEL", queue._keys.lock(job_id)), int)


async def test_running_job_is_cancelled_however_short_its_lock_is(app: App, queue: Queue) -> None:
    """The lock keeper renews more often than it looks for requests; it must look all the same."""

    @app.job
    async def work() -> None:
        await asyncio.Event().wait()

    async with running(app.worker(lock="1s")):
        job = await is_in(queue, await work.enqueue(), JobState.ACTIVE)
        await job.cancel("no longer wanted")
        async with asyncio.timeout(CANCEL_S):
            with pytest.raises(JobFailed, match="no longer wanted"):
                await job.result()


async def test_request_that_came_too_late_does_not_hit_the_jobs_next_run(
    app: App, queue: Queue
) -> None:
    release = asyncio.Event()
    runs: list[None] = []

    @app.job
    async def work() -> int:
        runs.append(None)
        if len(runs) == 1:
            await release.wait()
        else:
            await asyncio.sleep(3)  # longer than it takes to look for requests
        return len(runs)

    async with running(app.worker(lock="30s")):
        job = await is_in(queue, await work.options(job_id="same").enqueue(), JobState.ACTIVE)
        await job.cancel("too late")
        release.set()
        assert 1 == await job.result()
        await job.remove()

        assert 2 == await (await work.options(job_id="same").enqueue()).result()


async def test_schedulers_job_that_is_cancelled_early_is_not_its_last(
    app: App, queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its successor may take long to be made, while the server is away."""
    is_making = asyncio.Event()
    make = IterationMaker._make

    async def slow_at_first(self: IterationMaker, *args: Any) -> Any:
        if not is_making.is_set():
            is_making.set()
            await asyncio.Event().wait()
        return await make(self, *args)

    monkeypatch.setattr(IterationMaker, "_make", slow_at_first)

    @app.job
    async def tick() -> None: ...

    async with running(app.worker(lock="30s")):
        job = await tick.schedule("sch", Schedule.every("1h"))
        await is_making.wait()
        await job.cancel("not this one")
        with pytest.raises(JobFailed, match="not this one"):
            await job.result()

    assert 1 == (await queue.get_counts()).delayed
