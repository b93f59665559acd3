"""The operator's commands for queues, and the functions behind them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import redis
from tests.integration.cli.programs import environment
from tests.integration.engine.running import running, until
from typer.testing import CliRunner

from oxcart import App, Fail, JobState, Queue, Worker, operations
from oxcart.cli.main import cli
from oxcart.errors import QueueNotFound

FAILED = 3


async def has_failed(queue: Queue, count: int) -> bool:
    return (await queue.get_counts()).failed == count


@pytest.fixture
async def app(valkey_url: str, prefix: str) -> AsyncIterator[App]:
    """An application whose queue `shop` has three failed jobs and a completed one."""
    async with App(valkey_url, prefix=prefix) as opened:

        @opened.job(queue="shop", attempts=1)
        async def pay(amount: int) -> int:
            if not amount:
                raise Fail("nothing to pay")
            return amount

        jobs = [await pay.enqueue(amount) for amount in (0, 0, 0, 7)]
        async with running(opened.worker()):
            await jobs[-1].result()
            await until(lambda: has_failed(opened.queue("shop"), FAILED), what="three have failed")
        yield opened


async def test_commands_retry_clean_pause_and_resume(
    app: App, valkey: redis.Redis, valkey_url: str, prefix: str, tmp_path: Path
) -> None:
    env = environment(tmp_path, REDIS_URL=valkey_url, OXCART_PREFIX=prefix)

    async def told(*arguments: str, code: int = 0) -> str:
        done = await asyncio.to_thread(CliRunner().invoke, cli, arguments, env=env)
        assert code == done.exit_code, done.stderr
        return done.stdout if code == 0 else done.stderr

    queue = app.queue("shop")
    (last,) = await queue.get_jobs(JobState.FAILED, end=0)

    assert (
        await told("retry", "shop", "--job", last.id) == "shop: 1 failed job put back to be run\n"
    )
    assert (await last.refresh()).failed_reason is None
    assert json.loads(await told("retry", "shop", "--limit", "1", "--json")) == {
        "queue": "shop",
        "retriedCount": 1,
    }
    assert (await queue.get_counts()).failed == 1

    old = int((datetime.now(UTC) - timedelta(days=2)).timestamp() * 1_000)
    (completed,) = await queue.get_jobs(JobState.COMPLETED)
    valkey.zadd(f"{prefix}:shop:completed", {completed.id: old})
    assert await told("clean", "shop") == "shop: 1 completed and 0 failed jobs removed\n"
    cleaned = json.loads(await told("clean", "shop", "--failed", "0s", "--json"))
    assert cleaned == [{"queue": "shop", "completedCount": 0, "failedCount": 1}]

    assert await told("pause", "shop") == "shop: paused\n"
    assert await queue.is_paused()
    assert await told("resume", "shop") == "shop: resumed\n"
    assert not await queue.is_paused()

    refused = await told("retry", "shpo", code=1)
    assert "queue 'shpo' does not exist; known queues: email, export" in refused
    assert "no-such-job" in await told("retry", "shop", "--job", "no-such-job", code=1)
    assert valkey.keys(f"{prefix}:shpo:*") == []


Command = Callable[[str, App], Awaitable[Any]]


@pytest.mark.parametrize(
    "ask",
    [
        operations.retry_failed_jobs,
        operations.pause_queue,
        operations.resume_queue,
        operations.get_waiting_count,
        operations.get_failed_count,
        lambda queue, app: operations.retry_job(queue, "1", app),
        lambda queue, app: operations.cleanup_old_jobs(app, queues=["email", queue]),
    ],
)
async def test_unknown_queue_is_an_error_and_leaves_no_key(
    app: App, valkey: redis.Redis, prefix: str, ask: Command
) -> None:
    with pytest.raises(QueueNotFound, match="queue 'nonsense' does not exist"):
        await ask("nonsense", app)

    assert valkey.keys(f"{prefix}:nonsense*") == []


async def test_queue_of_another_program_is_known_by_what_is_in_redis(
    app: App, valkey_url: str, prefix: str
) -> None:
    """Its jobs were added by Node, or by an application that is not at hand here."""

    async def refuse(_: object) -> None:
        raise Fail("no")

    async with App(valkey_url, prefix=prefix) as other:
        await other.queue("images").add("resize", {})
        async with running(Worker("images", refuse, redis_url=valkey_url, prefix=prefix)):
            await until(lambda: has_failed(other.queue("images"), 1), what="it has failed")

    assert await operations.retry_failed_jobs("images", app) == 1
    assert await operations.get_waiting_count("images", app) == 1
