"""toro-queue: asyncio on Redis; each transition is one Lua script.

Jobs are added by ``pending()``, its batch, and removed on completion; uvloop and hiredis. A job
that ends claims the next one in the same call, as shipped; locks and events are on.
"""

from __future__ import annotations

import asyncio
from typing import Any

import toro
import uvloop
from benchmarks.peers.common import Data, Shift, add_jobs
from benchmarks.protocol import Order, main

LACKS: tuple[str, ...] = ()

JOB = "mail"


def enqueue(order: Order) -> None:
    """Add the jobs."""
    uvloop.run(_enqueue(order))


def work(order: Order) -> None:
    """Run the jobs."""
    uvloop.run(_work(order))


async def _enqueue(order: Order) -> None:
    queue = toro.Queue(order.queue, url=order.url, default_job_options={"remove_on_complete": True})
    options: dict[str, Any] = {}
    if "delay_ms" in order.options:
        options["delay"] = order.options["delay_ms"]

    async def add(data: Data) -> None:
        await queue.add(JOB, data, **options)

    async def add_many(datas: list[Data]) -> None:
        pending = queue.pending()
        for data in datas:
            pending.add(JOB, data, **options)
        await pending.flush()

    await queue.counts()  # opens the connection
    await add_jobs(order, add, add_many)
    await queue.close()


async def _work(order: Order) -> None:
    shift = Shift(order)
    handle = shift.handler()

    async def process(job: toro.Job) -> None:
        await handle(job.data)

    worker = toro.Worker(order.queue, process, url=order.url, concurrency=order.concurrency)
    async with asyncio.TaskGroup() as group:
        group.create_task(worker.run())
        await shift.last()
        await worker.stop()


if __name__ == "__main__":
    main(enqueue=enqueue, work=work)
