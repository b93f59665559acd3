"""Stopping a worker whose client makes a time-out of a cancellation, as clients do now and then."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from redis.exceptions import TimeoutError as RedisTimeoutError
from tests.integration.engine.running import is_in
from tests.support import ValkeyServer

from oxcart import App, JobState
from oxcart._engine import queue_worker
from oxcart._store.prompt import PromptConnection


@pytest.fixture
def swallowing(monkeypatch: pytest.MonkeyPatch) -> set[asyncio.Task[Any] | None]:
    """Let the first cancellation of each task that reads a reply be a time-out; tells the tasks."""
    tasks: set[asyncio.Task[Any] | None] = set()
    read_response = PromptConnection.read_response

    async def read(connection: PromptConnection, *args: Any, **options: Any) -> Any:
        try:
            return await read_response(connection, *args, **options)
        except asyncio.CancelledError:
            if asyncio.current_task() in tasks:
                raise
            tasks.add(asyncio.current_task())
            raise RedisTimeoutError("came at the same time") from None

    monkeypatch.setattr(PromptConnection, "read_response", read)
    return tasks


@pytest.mark.parametrize("concurrency", [1, 4])
async def test_worker_stops_for_certain(
    own_valkey: ValkeyServer,
    prefix: str,
    monkeypatch: pytest.MonkeyPatch,
    swallowing: set[asyncio.Task[Any] | None],
    concurrency: int,
) -> None:
    for name in ("NOTHING_RUNS_S", "CANCEL_S", "LAST_WRITE_S", "PASS_ON_S"):
        monkeypatch.setattr(queue_worker, name, 0.1)
    may_end = asyncio.Event()
    async with App(own_valkey.url, prefix=prefix) as app:

        @app.job
        async def work() -> None:
            await may_end.wait()

        job = await work.enqueue()
        worker = app.worker({"default": concurrency}, grace="100ms")
        async with asyncio.timeout(10), asyncio.TaskGroup() as group:
            run = group.create_task(worker.run())
            await is_in(app.queue("default"), job, JobState.ACTIVE)
            with own_valkey.stopped():
                may_end.set()
                worker.stop()
                await run

    assert swallowing
