"""What a handler can ask and do about its job."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from tests.integration.engine.running import running
from tests.support import wait_until

from oxcart import App, JobContext, Queue, Worker, current_job
from oxcart.errors import ConfigError, JobNotFound, PayloadError


def test_outside_a_handler_there_is_no_current_job() -> None:
    with pytest.raises(ConfigError, match="outside a handler"):
        current_job()


async def test_handler_sees_its_job(app: App, queue: Queue) -> None:
    seen: dict[str, Any] = {}

    @app.job("greet", attempts=4)
    async def handler(name: str) -> None:
        job = current_job()
        seen.update(
            job_id=job.job_id,
            name=job.name,
            queue=job.queue,
            attempt=job.attempt,
            max_attempts=job.max_attempts,
            data=job.data,
        )

    job = await handler.enqueue("Ada")
    async with running(app.worker()):
        await job.result()

    assert {
        "job_id": job.id,
        "name": "greet",
        "queue": "default",
        "attempt": 1,
        "max_attempts": 4,
        "data": {"name": "Ada"},
    } == seen


async def test_jobs_that_run_together_each_see_their_own(app: App) -> None:
    barrier = asyncio.Barrier(3)

    @app.job
    async def who() -> str:
        await barrier.wait()
        return current_job().job_id

    jobs = [await who.enqueue() for _ in range(3)]
    async with running(app.worker()):
        results = [await job.result() for job in jobs]

    assert [job.id for job in jobs] == results


async def test_progress_and_logs_are_kept_and_readable_while_the_job_runs(
    app: App, queue: Queue
) -> None:
    reported, go_on = asyncio.Event(), asyncio.Event()

    @app.job
    async def export() -> None:
        await current_job().progress({"rows": 10, "percent": 50.5})
        await current_job().log("half ✓")
        await current_job().log("on we go")
        reported.set()
        await go_on.wait()

    job = await export.enqueue()
    async with running(app.worker()):
        await reported.wait()
        during = await job.refresh()
        logs = await queue.get_logs(job.id)
        go_on.set()
        await job.result()

    assert {"rows": 10, "percent": 50.5} == during.progress
    assert (("half ✓", "on we go"), 2) == (logs.rows, logs.count)


async def test_plain_function_reports_progress_and_logs_from_its_thread(
    app: App, queue: Queue
) -> None:
    @app.job
    def export() -> int:
        job = current_job()
        for percent in (50, 100):
            job.sync.progress(percent)
            job.sync.log(f"{percent} %")
        job.ensure_lock()
        return job.attempt

    job = await export.enqueue()
    async with running(app.worker()):
        assert 1 == await job.result()

    done = await job.refresh()
    assert 100 == done.progress
    assert ("50 %", "100 %") == (await queue.get_logs(job.id)).rows


async def test_log_keeps_no_more_rows_than_the_job_allows(app: App, queue: Queue) -> None:
    @app.job
    async def chatty() -> None:
        for number in range(5):
            await current_job().log(str(number))

    job = await chatty.options(log_limit=2).enqueue()
    async with running(app.worker()):
        await job.result()

    assert ("3", "4") == (await queue.get_logs(job.id)).rows


async def test_progress_that_json_cannot_hold_is_refused_in_the_handler(app: App) -> None:
    refused = []

    @app.job
    async def odd() -> None:
        try:
            await current_job().progress(float("inf"))
        except PayloadError as error:
            refused.append(str(error))

    job = await odd.enqueue()
    async with running(app.worker()):
        await job.result()

    assert ["the progress" in text for text in refused] == [True]


async def test_progress_of_a_removed_job_is_an_error(app: App, queue: Queue, valkey: Any) -> None:
    errors: list[type[Exception]] = []

    @app.job
    async def removed(base: str) -> None:
        job = current_job()
        valkey.delete(f"{base}{job.job_id}", f"{base}{job.job_id}:lock")
        valkey.lrem(f"{base}active", 0, job.job_id)
        try:
            await job.progress(1)
        except JobNotFound as error:
            errors.append(type(error))

    base = queue._keys.base
    await removed.enqueue(base)
    async with running(app.worker()):
        await wait_until(lambda: errors, what="the handler to be told")

    assert [JobNotFound] == errors


async def test_worker_without_an_application_hands_each_job_to_its_one_handler(
    valkey_url: str, prefix: str, queue: Queue
) -> None:
    async def handle(job: JobContext) -> list[Any]:
        return [job.name, job.data, job is current_job()]

    first, second = await queue.add("one", [1]), await queue.add("two", None)
    async with running(Worker("default", handle, redis_url=valkey_url, prefix=prefix)):
        results = [await first.result(), await second.result()]

    assert [["one", [1], True], ["two", {}, True]] == results


async def test_worker_without_an_application_runs_a_plain_function_too(
    valkey_url: str, prefix: str, queue: Queue
) -> None:
    def handle(job: JobContext) -> str:
        job.sync.log("in a thread")
        return job.job_id

    job = await queue.add("any")
    async with running(Worker("default", handle, redis_url=valkey_url, prefix=prefix)):
        assert job.id == await job.result()


async def test_declared_secrets_are_redacted_at_any_depth(app: App, queue: Queue) -> None:
    @app.job(secrets=frozenset({"token"}))
    async def mail(token: str, more: dict[str, Any]) -> None: ...

    job = await mail.enqueue("s3cret", {"list": [{"token": "deep", "open": 1}]})
    other = await queue.add("undeclared", {"token": "shown"})

    assert {
        "token": "[redacted]",
        "more": {"list": [{"token": "[redacted]", "open": 1}]},
    } == app.redact(job, queue="default")
    assert {"token": "shown"} == app.redact(other, queue="default")
    assert "s3cret" not in repr(job)
