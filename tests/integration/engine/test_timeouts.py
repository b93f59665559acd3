"""Handlers that take longer than they may."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest
from tests.integration.engine.running import all_ended, is_in, running

from oxcart import App, JobInterrupted, JobState, Queue, current_job
from oxcart._engine import fetcher


async def test_async_handler_over_time_is_cancelled_and_its_attempt_fails(
    app: App, queue: Queue
) -> None:
    cancelled = []

    @app.job(timeout="50ms", attempts=1)
    async def hang() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.append(current_job().job_id)
            raise

    job = await hang.enqueue()
    async with running(app.worker()):
        failed = await is_in(queue, job, JobState.FAILED)

    assert [job.id] == cancelled
    assert "timed out after 50 ms" == failed.failed_reason


async def test_attempt_that_timed_out_is_made_again(app: App) -> None:
    @app.job(timeout="50ms", attempts=2, backoff=None)
    async def hang_once() -> str:
        if current_job().attempt == 1:
            await asyncio.Event().wait()
        return "made it"

    job = await hang_once.enqueue()
    async with running(app.worker()):
        assert "made it" == await job.result()


async def test_time_out_of_the_handlers_own_is_told_apart_from_the_jobs(
    app: App, queue: Queue
) -> None:
    @app.job(timeout="1h", attempts=1)
    async def ask() -> None:
        raise TimeoutError("the other side is slow")

    job = await ask.enqueue()
    async with running(app.worker()):
        failed = await is_in(queue, job, JobState.FAILED)

    assert "the other side is slow" == failed.failed_reason


async def test_thread_over_time_is_interrupted_and_its_place_is_free_again(
    app: App, queue: Queue
) -> None:
    seen: list[type[BaseException]] = []

    @app.job(timeout="50ms", attempts=1)
    def spin() -> None:
        try:
            while True:
                time.sleep(0.001)
        except BaseException as error:
            seen.append(type(error))
            raise

    @app.job
    def quick() -> str:
        return "done"

    job = await spin.enqueue()
    async with running(app.worker({"default": 1})):
        failed = await is_in(queue, job, JobState.FAILED)
        assert "done" == await (await quick.enqueue()).result()

    assert [JobInterrupted] == seen
    assert "timed out after 50 ms" == failed.failed_reason


async def test_handler_that_swallows_its_cancellation_is_failed_and_its_place_given_away(
    app: App, queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetcher, "OVERTIME_S", 0.2)
    release = asyncio.Event()

    @app.job(timeout="50ms", attempts=3)
    async def stubborn() -> str:
        while not release.is_set():
            try:
                await release.wait()
            except asyncio.CancelledError:
                continue
        return "too late"

    @app.job
    async def quick() -> str:
        return "done"

    job = await stubborn.enqueue()
    async with running(app.worker({"default": 1})):
        failed = await is_in(queue, job, JobState.FAILED)
        assert "done" == await (await quick.enqueue()).result()
        release.set()

    assert "the handler did not end when it was cancelled" in str(failed.failed_reason)
    assert JobState.FAILED is await job.state()


async def test_thread_that_cannot_be_interrupted_is_left_behind(
    app: App, queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("oxcart._engine.threads.PATIENCE_S", 0.1)
    release = threading.Event()

    @app.job(timeout="50ms", attempts=1)
    def stuck() -> None:
        release.wait()

    job = await stuck.enqueue()
    async with running(app.worker({"default": 1})):
        failed = await is_in(queue, job, JobState.FAILED)
        release.set()

    assert "timed out after 50 ms" == failed.failed_reason


async def test_interruption_never_hits_the_next_job_of_its_thread(app: App, queue: Queue) -> None:
    @app.job(timeout="3ms", attempts=1)
    def tight() -> None:
        spin_for(0.003)  # ends just when its time is over

    @app.job(attempts=1)
    def free() -> str:
        spin_for(0.001)
        return "untouched"

    await queue.add_many([tight.spec(), free.spec()] * 100)
    async with running(app.worker({"default": 4})):
        await all_ended(queue, within=30)

    failed = await queue.get_jobs(JobState.FAILED, end=-1)
    completed = await queue.get_jobs(JobState.COMPLETED, end=-1)
    assert {"tight"} >= {job.name for job in failed}
    assert 100 == sum(job.name == "free" for job in completed)


def spin_for(seconds: float) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        pass
