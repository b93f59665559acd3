"""Jobs that are failed without being run: expired, or started too often."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
import redis
from tests.integration.engine.running import is_in, running
from tests.support import wait_until

from oxcart import App, Delay, FailedJob, JobState, current_job, fixed


@pytest.mark.parametrize("form", ["duration", "instant"])
async def test_job_taken_after_its_expiry_fails_unrun_and_for_good(app: App, form: str) -> None:
    ran: list[str] = []
    told: list[FailedJob] = []

    @app.on_failure
    async def hook(failed: FailedJob) -> None:
        told.append(failed)

    @app.job(attempts=5, expires="1h")
    async def work(name: str) -> None:
        ran.append(name)

    two_hours_ago = datetime.now(UTC) - timedelta(hours=2)
    if form == "duration":
        late = await work.options(timestamp=two_hours_ago).enqueue("late")
    else:
        late = await work.options(expires=two_hours_ago).enqueue("late")
    in_time = await work.enqueue("in time")
    async with running(app.worker()):
        await in_time.result()
        failed = await is_in(app.queue("default"), late, JobState.FAILED)
        await wait_until(lambda: told, what="the hook to be told")

    assert ["in time"] == ran
    assert 1 == failed.attempts_made
    assert str(failed.failed_reason).startswith("expired at 2")
    assert [(late.id, failed.failed_reason)] == [(item.id, item.reason) for item in told]


async def test_attempt_that_would_come_after_the_expiry_names_the_error_before(
    app: App, valkey: redis.Redis, prefix: str
) -> None:
    ran: list[int] = []

    @app.job(attempts=3, backoff=fixed("2h"), expires="1h")
    async def work() -> None:
        ran.append(current_job().attempt)
        raise ValueError("the first error")

    queue = app.queue("default")
    async with running(app.worker()):
        job = await work.enqueue()
        await is_in(queue, job, JobState.DELAYED)
        valkey.hset(f"{prefix}:default:{job.id}", "timestamp", 1)
        await queue.promote(job.id)
        failed = await is_in(queue, job, JobState.FAILED)

    assert [1] == ran
    assert "the attempt before failed: the first error" in str(failed.failed_reason)


async def test_job_started_more_often_than_allowed_is_not_started_again(app: App) -> None:
    ran: list[int] = []

    @app.job(attempts=9)
    async def work() -> None:
        ran.append(current_job().attempt)
        raise Delay("1ms")  # counts no attempt

    async with running(app.worker(max_started_attempts=2)):
        job = await work.enqueue()
        failed = await is_in(app.queue("default"), job, JobState.FAILED)

    assert [1, 1] == ran
    assert "job started more than allowable limit" == failed.failed_reason


async def test_failed_attempt_is_not_retried_when_the_next_start_would_be_one_too_many(
    app: App,
) -> None:
    ran: list[int] = []

    @app.job(attempts=9, backoff=fixed("1ms"))
    async def work() -> None:
        ran.append(current_job().attempt)
        raise ValueError("no")

    async with running(app.worker(max_started_attempts=2)):
        job = await work.enqueue()
        failed = await is_in(app.queue("default"), job, JobState.FAILED)

    assert [1, 2] == ran
    assert ("no", 2) == (failed.failed_reason, failed.attempts_made)


async def test_expired_job_does_not_hold_up_the_others(app: App) -> None:
    @app.job
    async def work() -> str:
        await asyncio.sleep(0)
        return "done"

    old = datetime.now(UTC) - timedelta(days=1)
    jobs = [
        await work.options(expires=old if number % 2 else None).enqueue() for number in range(6)
    ]
    async with running(app.worker({"default": 1})):
        assert ["done"] * 3 == [await job.result() for job in jobs[::2]]
        for job in jobs[1::2]:
            await is_in(app.queue("default"), job, JobState.FAILED)
