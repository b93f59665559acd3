"""Cancelling jobs from outside: whoever runs them, wherever they are."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import Any

import pytest
from tests.integration.engine.running import QUICK, is_in, running
from tests.integration.queue.hand import Hand

from oxcart import App, FailedJob, Job, JobInterrupted, JobState, Queue
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
