"""BullMQ for Python: asyncio on Redis, the same jobs as BullMQ on Node.

Jobs are added by ``addBulk`` and removed on completion (``removeOnComplete``); uvloop and hiredis.
Locks, their renewal, events and the stalled check are on, as shipped. Used by its public
documentation alone.
"""

from __future__ import annotations

import asyncio
from typing import Any

import uvloop
from benchmarks.peers.common import Data, Shift, add_jobs
from benchmarks.protocol import Order, main
from bullmq import Queue, Worker

LACKS: tuple[str, ...] = ()

JOB = "mail"


def enqueue(order: Order) -> None:
    """Add the jobs."""
    uvloop.run(_enqueue(order))


def work(order: Order) -> None:
    """Run the jobs."""
    uvloop.run(_work(order))


async def _enqueue(order: Order) -> None:
    queue = Queue(order.queue, {"connection": order.url})
    options: dict[str, Any] = {"removeOnComplete": True}
    if "delay_ms" in order.options:
        options["delay"] = order.options["delay_ms"]

    async def add(data: Data) -> None:
        await queue.add(JOB, data, options)

    async def add_many(datas: list[Data]) -> None:
        await queue.addBulk([{"name": JOB, "data": data, "opts": options} for data in datas])

    await queue.getJobCounts("waiting")  # opens the connection
    await add_jobs(order, add, add_many)
    await queue.close()


async def _work(order: Order) -> None:
    shift = Shift(order)
    handle = shift.handler()

    async def process(job: Any, _token: str) -> None:
        await handle(job.data)

    options = {
        "connection": order.url,
        "concurrency": order.concurrency,
        "removeOnComplete": {"count": 0},
        "autorun": False,
    }
    worker = Worker(order.queue, process, options)
    async with asyncio.TaskGroup() as group:
        group.create_task(worker.run())
        await shift.last()
        await worker.close()


if __name__ == "__main__":
    main(enqueue=enqueue, work=work)
