"""Stopping a worker: what becomes of the jobs that it runs."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import redis
from tests.integration.engine.running import is_in
from tests.partition import check_partition
from tests.support import wait_until

from oxcart import App, Job, JobState, Queue, current_job
from oxcart.app import AppWorker

GRACE_S = 5
"""A grace period that no test here should have to wait for."""


class Handler:
    """A job that runs until the test says so."""

    def __init__(self, app: App) -> None:
        self.begun: list[str] = []
        self.cancelled: list[str] = []
        self.may_end = asyncio.Event()

        @app.job(attempts=3)
        async def work() -> str:
            self.begun.append(current_job().job_id)
            try:
                await self.may_end.wait()
            except asyncio.CancelledError:
                self.cancelled.append(current_job().job_id)
                raise
            return "done"

        self.job = work


@pytest.fixture
def handler(app: App) -> Handler:
    return Handler(app)


@asynccontextmanager
async def run_until_stopped(worker: AppWorker) -> AsyncIterator[asyncio.Task[None]]:
    """Run a worker; it must have ended by itself soon after the body."""
    async with asyncio.timeout(30), asyncio.TaskGroup() as group:
        yield group.create_task(worker.run())


async def assert_given_back(job: Job[Any], valkey: redis.Redis, prefix: str) -> None:
    """The job waits, as if it had never been run, and nothing is locked."""
    back = await job.refresh()
    assert JobState.WAITING is await job.state()
    assert (0, None, ()) == (back.attempts_made, back.failed_reason, back.stacktrace)
    assert set() == check_partition(valkey, prefix, job.queue).locks


async def test_running_jobs_end_within_the_grace_period_and_no_more_are_taken(
    app: App, queue: Queue, handler: Handler, valkey: redis.Redis, prefix: str
) -> None:
    first, second = await handler.job.enqueue(), await handler.job.enqueue()
    worker = app.worker({"default": 1}, grace=f"{GRACE_S}s")

    async with run_until_stopped(worker) as run:
        await is_in(queue, first, JobState.ACTIVE)
        await wait_until(lambda: handler.begun, what="the job to begin")
        worker.stop()
        late = await handler.job.enqueue()
        assert not run.done()
        handler.may_end.set()

    assert [first.id] == handler.begun
    assert "done" == (await first.refresh()).return_value
    assert {second.id: "wait", late.id: "wait", first.id: "completed"} == (
        check_partition(valkey, prefix, "default").states
    )


async def test_jobs_beyond_the_grace_period_are_cancelled_and_put_back(
    app: App, handler: Handler, valkey: redis.Redis, prefix: str
) -> None:
    job = await handler.job.enqueue()
    worker = app.worker(grace="50ms")

    async with run_until_stopped(worker):
        await wait_until(lambda: handler.begun, what="the job to begin")
        worker.stop()

    assert [job.id] == handler.cancelled
    await assert_given_back(job, valkey, prefix)


async def test_forced_stop_puts_jobs_back_at_once(
    app: App, handler: Handler, valkey: redis.Redis, prefix: str
) -> None:
    job = await handler.job.enqueue()
    worker = app.worker(grace="1h")

    async with run_until_stopped(worker):
        await wait_until(lambda: handler.begun, what="the job to begin")
        started = time.monotonic()
        worker.stop(force=True)

    assert time.monotonic() - started < GRACE_S
    await assert_given_back(job, valkey, prefix)


async def test_forced_stop_cuts_a_graceful_one_short(
    app: App, handler: Handler, valkey: redis.Redis, prefix: str
) -> None:
    job = await handler.job.enqueue()
    worker = app.worker(grace="1h")

    async with run_until_stopped(worker) as run:
        await wait_until(lambda: handler.begun, what="the job to begin")
        worker.stop()
        await asyncio.wait([run], timeout=0.1)
        assert not run.done()
        worker.stop(force=True)

    await assert_given_back(job, valkey, prefix)


async def test_job_put_back_is_the_next_to_be_run(app: App, queue: Queue, handler: Handler) -> None:
    first = await handler.job.enqueue()
    worker = app.worker({"default": 1})
    async with run_until_stopped(worker):
        await wait_until(lambda: handler.begun, what="the job to begin")
        second = await handler.job.enqueue()
        worker.stop(force=True)

    handler.may_end.set()
    again = app.worker({"default": 1})
    async with run_until_stopped(again):
        await is_in(queue, second, JobState.COMPLETED)
        again.stop()

    assert [first.id, first.id, second.id] == handler.begun
    assert 1 == (await first.refresh()).attempts_made


async def test_handler_that_ignores_its_cancellation_is_left_behind_and_its_job_put_back(
    app: App, valkey: redis.Redis, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("oxcart._engine.queue_worker.CANCEL_S", 0.2)
    begun, may_end = asyncio.Event(), asyncio.Event()

    @app.job(attempts=3)
    async def stubborn() -> None:
        begun.set()
        while not may_end.is_set():
            try:
                await may_end.wait()
            except asyncio.CancelledError:
                continue

    job = await stubborn.enqueue()
    worker = app.worker(grace="1h")
    async with run_until_stopped(worker):
        await begun.wait()
        worker.stop(force=True)

    await assert_given_back(job, valkey, prefix)
    may_end.set()


async def test_thread_that_cannot_be_interrupted_is_left_behind_and_its_job_put_back(
    app: App, valkey: redis.Redis, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("oxcart._engine.queue_worker.CANCEL_S", 0.2)
    begun, may_end = threading.Event(), threading.Event()

    @app.job(attempts=3)
    def stuck() -> None:
        begun.set()
        may_end.wait()

    job = await stuck.enqueue()
    worker = app.worker(grace="1h")
    async with run_until_stopped(worker):
        await asyncio.to_thread(begun.wait, 10)
        worker.stop(force=True)

    await assert_given_back(job, valkey, prefix)
    may_end.set()


async def test_handler_that_ends_its_work_when_it_is_cancelled_completes_its_job(app: App) -> None:
    begun = asyncio.Event()

    @app.job
    async def tidy() -> str:
        begun.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return "finished all the same"
        return "never"

    job = await tidy.enqueue()
    worker = app.worker()
    async with run_until_stopped(worker):
        await begun.wait()
        worker.stop(force=True)

    assert "finished all the same" == (await job.refresh()).return_value


async def test_cancelling_the_run_puts_jobs_back(
    app: App, handler: Handler, valkey: redis.Redis, prefix: str
) -> None:
    jobs = [await handler.job.enqueue() for _ in range(3)]
    worker = app.worker(grace="1h")

    async with run_until_stopped(worker) as run:
        await wait_until(lambda: len(handler.begun) == 3, what="the jobs to begin")
        run.cancel()

    assert run.cancelled()
    for job in jobs:
        await assert_given_back(job, valkey, prefix)


async def test_time_limit_around_the_run_puts_jobs_back(
    app: App, handler: Handler, valkey: redis.Redis, prefix: str
) -> None:
    job = await handler.job.enqueue()

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.5):
            await app.worker(grace="1h").run()

    assert [job.id] == handler.begun
    await assert_given_back(job, valkey, prefix)


async def test_idle_worker_stops_at_once(app: App, handler: Handler) -> None:
    worker = app.worker(grace="1h")
    async with run_until_stopped(worker):
        handler.may_end.set()
        await (await handler.job.enqueue()).result()
        started = time.monotonic()
        worker.stop()

    assert time.monotonic() - started < 2


async def test_worker_told_to_stop_before_it_runs_takes_nothing(app: App, handler: Handler) -> None:
    job = await handler.job.enqueue()
    worker = app.worker()
    worker.stop()

    async with run_until_stopped(worker):
        pass

    assert JobState.WAITING is await job.state()


async def test_worker_may_be_stopped_from_another_thread(app: App, handler: Handler) -> None:
    handler.may_end.set()
    worker = app.worker()

    async with run_until_stopped(worker):
        await (await handler.job.enqueue()).result()
        await asyncio.to_thread(worker.stop)


async def test_hook_of_a_failed_job_is_waited_for(app: App, queue: Queue) -> None:
    begun, may_end, ended = asyncio.Event(), asyncio.Event(), []

    async def tell(failed: object) -> None:
        begun.set()
        await may_end.wait()
        ended.append(failed)

    @app.job(attempts=1, on_failure=tell)
    async def bad() -> None:
        raise ValueError

    await bad.enqueue()
    worker = app.worker(grace=f"{GRACE_S}s")
    async with run_until_stopped(worker):
        await begun.wait()
        worker.stop()
        may_end.set()

    assert 1 == len(ended)


async def test_hook_that_never_ends_does_not_keep_the_worker_from_stopping(app: App) -> None:
    begun = asyncio.Event()

    async def hang(failed: object) -> None:
        begun.set()
        await asyncio.Event().wait()

    @app.job(attempts=1, on_failure=hang)
    async def bad() -> None:
        raise ValueError

    await bad.enqueue()
    worker = app.worker(grace="50ms")
    async with run_until_stopped(worker):
        await begun.wait()
        started = time.monotonic()
        worker.stop()

    assert time.monotonic() - started < 2


async def test_stopped_worker_leaves_no_task_and_no_connection_of_its_own(
    app: App, handler: Handler, valkey: redis.Redis, prefix: str
) -> None:
    handler.may_end.set()
    before = asyncio.all_tasks()
    worker = app.worker()
    async with run_until_stopped(worker):
        await (await handler.job.enqueue()).result()
        worker.stop()

    clients: Any = valkey.client_list()
    assert before == asyncio.all_tasks()
    assert not [client for client in clients if client["name"].startswith(f"{prefix}:")]
    assert not [each for each in threading.enumerate() if each.name == "oxcart-locks"]
