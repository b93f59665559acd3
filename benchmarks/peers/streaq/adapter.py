"""streaq: asyncio (anyio) on Redis streams, with functions of its own in Redis.

Jobs are added by ``enqueue_many``; results are off (``ttl=0``) and no line is logged a job
(``silent``); uvloop. Data is pickled, as shipped.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import uvloop
from benchmarks.peers.common import Data, Shift, add_jobs, delay_s, quiet, until
from benchmarks.protocol import Order, main
from streaq import Worker

LACKS = (
    "events",
    "retention",
)

JOB = "handle"


def enqueue(order: Order) -> None:
    """Add the jobs."""
    uvloop.run(_enqueue(order))


def work(order: Order) -> None:
    """Run the jobs."""
    quiet("streaq")
    uvloop.run(_work(order))


def _worker(order: Order, process: Callable[[Data], Any]) -> tuple[Any, Any]:
    worker = Worker(
        redis_url=order.url,
        queue_name=order.queue,
        concurrency=order.concurrency,
        handle_signals=False,
    )
    return worker, worker.task(name=JOB, ttl=0, silent=True)(process)


async def _enqueue(order: Order) -> None:
    async def process(data: Data) -> None:
        """Run elsewhere."""

    worker, job = _worker(order, process)
    wait = timedelta(seconds=delay_s(order)) or None

    async def add(data: Data) -> None:
        await job.enqueue(data).start(delay=wait)

    async def add_many(datas: list[Data]) -> None:
        await worker.enqueue_many([job.enqueue(data) for data in datas])

    async with worker:
        await worker.redis.ping()
        await add_jobs(order, add, add_many)


async def _work(order: Order) -> None:
    shift = Shift(order)
    handle = shift.handler()

    async def process(data: Data) -> None:
        await handle(data)

    worker, _ = _worker(order, process)
    async with asyncio.TaskGroup() as group:
        running = group.create_task(worker.run_async())
        await shift.last()
        await until(worker.running, 0)
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running


if __name__ == "__main__":
    main(enqueue=enqueue, work=work)
