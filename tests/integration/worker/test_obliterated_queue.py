"""A queue that is obliterated while its worker runs stays gone."""

from __future__ import annotations

import asyncio
from typing import Any

import redis
from tests.integration.engine.running import running
from tests.support import wait_until

from oxcart import App, JobContext, Worker


async def test_queue_that_is_obliterated_under_a_running_worker_stays_gone(
    app: App, valkey_url: str, prefix: str, valkey: redis.Redis
) -> None:
    queue = app.queue("gone")
    begun, release, ended = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def handle(job: JobContext) -> None:
        begun.set()
        await release.wait()
        ended.set()

    worker = Worker("gone", handle, redis_url=valkey_url, prefix=prefix, stalled_interval="200ms")

    def left() -> set[str]:
        keys: Any = valkey.keys(f"{prefix}:gone:*")
        names = {key.decode().removeprefix(f"{prefix}:gone:") for key in keys}
        # With a TTL: what a living worker needs.
        return names - {"stalled-check", "oxcart:workers", "oxcart:beats"}

    async with running(worker):
        await queue.add("n")
        await begun.wait()
        await queue.obliterate(force=True)
        valkey.delete(f"{prefix}:gone:stalled-check")
        release.set()
        await ended.wait()
        # The step that ends the job, and two stalled checks, have been made.
        for _ in range(2):
            await wait_until(
                lambda: bool(valkey.exists(f"{prefix}:gone:stalled-check")), what="a check"
            )
            valkey.delete(f"{prefix}:gone:stalled-check")
        assert {name for name in left() if not name.startswith("oxcart:step-")} == set()
        worker.stop()

    keys: Any = valkey.keys(f"{prefix}:gone:*")
    # Steps made after the queue was removed are remembered for a minute.
    assert all(valkey.pttl(key) > 0 for key in keys), keys


async def test_queue_can_be_used_again_by_the_worker_that_runs(app: App) -> None:
    @app.job
    async def work(x: int) -> int:
        return x

    async with running(app.worker()):
        assert 1 == await (await work.enqueue(1)).result()
        await app.queue("default").obliterate(force=True)
        assert 2 == await (await work.enqueue(2)).result()
