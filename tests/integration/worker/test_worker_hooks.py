"""Hooks of a worker, called after a fact was written."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import redis
from tests.integration.engine.running import running
from tests.support import ValkeyServer, wait_until

from oxcart import (
    App,
    CompletedJob,
    FailedAttempt,
    JobContext,
    JobState,
    Queue,
    StalledJob,
    Timeouts,
    Worker,
    WorkerTrouble,
    fixed,
)
from oxcart.errors import StoreUnavailable


@pytest.fixture
def queue(app: App) -> Queue:
    return app.queue("own")


async def test_completed_job_is_reported_after_it_was_written(app: App) -> None:
    seen: list[tuple[CompletedJob, JobState]] = []

    @app.job
    async def add(a: int, b: int) -> dict[str, int]:
        return {"sum": a + b}

    @app.on_completed
    async def note(job: CompletedJob) -> None:
        seen.append((job, await app.queue("default").get_state(job.id)))

    async with running(app.worker()):
        job = await add.enqueue(1, b=2)
        await wait_until(lambda: bool(seen), what="the hook was called")

    ((completed, state),) = seen
    assert JobState.COMPLETED is state
    assert (job.id, "add", "default", 1) == (
        completed.id,
        completed.name,
        completed.queue,
        completed.attempts_made,
    )
    assert ({"a": 1, "b": 2}, {"sum": 3}) == (completed.data, completed.result)
    assert "sum" not in repr(completed)


async def test_attempt_that_is_not_the_last_is_reported(app: App) -> None:
    attempts: list[FailedAttempt] = []
    failures: list[str] = []
    error = ValueError("not yet")

    @app.job(attempts=3, backoff=fixed("1ms"))
    async def work(x: int) -> None:
        raise error

    app.on_attempt_failed(attempts.append)
    app.on_failure(lambda failed: failures.append(failed.reason))

    async with running(app.worker()):
        job = await work.enqueue(7)
        await wait_until(lambda: bool(failures), what="the job failed for good")
        await wait_until(lambda: len(attempts) == 2, what="both attempts are reported")

    assert [1, 2] == sorted(one.attempts_made for one in attempts)
    first = attempts[0]
    assert (job.id, "work", {"x": 7}, "not yet", 1, error) == (
        first.id, first.name, first.data, first.reason, first.delay_ms, first.error,
    )  # fmt: skip
    assert ["not yet"] == failures


async def test_worker_without_an_app_has_the_same_hooks(
    queue: Queue, valkey_url: str, prefix: str
) -> None:
    completed: list[Any] = []
    attempts: list[str] = []

    async def handle(job: JobContext) -> int:
        if job.attempt == 1:
            raise ValueError("first")
        return 5

    worker = Worker(
        queue.name,
        handle,
        redis_url=valkey_url,
        prefix=prefix,
        on_completed=lambda job: completed.append(job.result),
        on_attempt_failed=lambda attempt: attempts.append(attempt.reason),
    )
    async with running(worker):
        await queue.add("n", attempts=2)
        await wait_until(lambda: completed == [5], what="the hook was called")

    assert ["first"] == attempts


async def test_hook_that_raises_stops_neither_the_others_nor_the_worker(
    app: App, caplog: pytest.LogCaptureFixture
) -> None:
    seen: list[str] = []

    @app.job
    async def work() -> str:
        return "secret"

    @app.on_completed
    async def broken(job: CompletedJob) -> None:
        raise SystemExit(3)

    app.on_completed(lambda job: seen.append(job.id))

    async with running(app.worker()):
        await work.enqueue()
        await work.enqueue()
        await wait_until(lambda: len(seen) == 2, what="the other hook was called for both")

    broke = [one.getMessage() for one in caplog.records if "worker.hook_failed" in one.message]
    assert 2 == len(broke)
    assert "broken" in broke[0]
    assert "secret" not in broke[0]


async def test_hooks_are_waited_for_when_the_worker_stops(app: App) -> None:
    done: list[str] = []

    @app.job
    async def work() -> None: ...

    @app.on_completed
    async def slow(job: CompletedJob) -> None:
        worker.stop()
        await asyncio.sleep(0.2)
        done.append(job.id)

    worker = app.worker()
    job = await work.enqueue()
    await worker.run()

    assert [job.id] == done


async def test_recovered_job_is_reported(
    queue: Queue, valkey_url: str, prefix: str, valkey: redis.Redis
) -> None:
    stalled: list[StalledJob] = []
    job = await queue.add("n")
    # A job that a worker took which is gone: active, and without a lock.
    valkey.rpoplpush(f"{prefix}:{queue.name}:wait", f"{prefix}:{queue.name}:active")

    async def handle(job: JobContext) -> None: ...

    worker = Worker(
        queue.name,
        handle,
        redis_url=valkey_url,
        prefix=prefix,
        stalled_interval="200ms",
        on_stalled=stalled.append,
    )
    async with running(worker):
        await wait_until(lambda: bool(stalled), what="the hook was called")

    assert [StalledJob(id=job.id, queue=queue.name)] == stalled


async def test_lost_server_is_reported() -> None:
    server = ValkeyServer()
    server.start()
    trouble: list[WorkerTrouble] = []
    worker = Worker(
        "q",
        lambda job: None,
        redis_url=server.url,
        timeouts=Timeouts(connect="300ms", command="300ms"),
        on_error=trouble.append,
    )
    try:
        async with running(worker):
            async with Queue("q", redis_url=server.url) as queue:
                await (await queue.add("n")).result()
            server.kill()
            await wait_until(lambda: bool(trouble), what="the hook was called")
            server.start()
            async with Queue("q", redis_url=server.url) as queue:
                await (await queue.add("n")).result()
    finally:
        server.remove()

    assert ("q", True) == (trouble[0].queue, isinstance(trouble[0].error, StoreUnavailable))
    assert len(trouble) <= 4  # two lanes, the waiter, the stalled check
