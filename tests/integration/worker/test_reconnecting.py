"""Log lines of a worker whose server goes away and comes back."""

from __future__ import annotations

import asyncio
import logging

import pytest
from tests.support import ValkeyServer, wait_until

from oxcart import JobContext, Queue, Worker


async def test_worker_logs_that_it_reached_its_server_again(
    own_valkey: ValkeyServer, prefix: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Each connection that was logged as lost is logged as made again, with the time it took."""
    caplog.set_level(logging.INFO, "oxcart.worker")

    async def work(_: JobContext) -> str:
        return "done"

    def lines(*events: str) -> list[logging.LogRecord]:
        return [record for record in caplog.records if record.getMessage().startswith(events)]

    lost = ("worker.waiting_for_server", "worker.disconnected")
    worker = Worker("q", work, redis_url=own_valkey.url, prefix=prefix)
    async with (
        Queue("q", redis_url=own_valkey.url, prefix=prefix) as queue,
        asyncio.TaskGroup() as group,
    ):
        group.create_task(worker.run())
        await (await queue.add("work")).result()
        await asyncio.to_thread(own_valkey.kill)
        await wait_until(lambda: lines(*lost), what="a connection to be missed")

        await asyncio.to_thread(own_valkey.start)
        await (await queue.add("work")).result()
        await wait_until(
            lambda: len(lines("worker.reconnected")) == len(lines(*lost)),
            what="the lines of the connections made anew",
        )
        worker.stop()

    for line in lines("worker.reconnected"):
        assert logging.INFO == line.levelno
        assert line.getMessage().startswith("worker.reconnected queue=q after_ms=")
