"""SAQ: asyncio on Redis; a blocking move per job and a record that a sweep looks after.

Jobs are added from 100 coroutines (it has no bulk call), 100 of which may reach Redis at a time
(``max_concurrent_ops``), and deleted on completion (``ttl=-1``); orjson, uvloop and hiredis.
"""

from __future__ import annotations

import asyncio
import math
import time
from typing import Any

import orjson
import uvloop
from benchmarks.peers.common import CALLERS, Data, Shift, add_jobs, delay_s, until
from benchmarks.protocol import Order, main
from saq import Queue, Worker

LACKS = (
    "locks",
    "events",
    "bulk adds",
    "priorities",
    "flows",
    "delays under 1 s",
)

JOB = "handle"
DELETE = -1


def enqueue(order: Order) -> None:
    """Add the jobs."""
    uvloop.run(_enqueue(order))


def work(order: Order) -> None:
    """Run the jobs."""
    uvloop.run(_work(order))


def _queue(order: Order) -> Queue:
    return Queue.from_url(
        order.url,
        name=order.queue,
        dump=orjson.dumps,
        load=orjson.loads,
        max_concurrent_ops=CALLERS,
    )


async def _enqueue(order: Order) -> None:
    queue = _queue(order)
    wait = delay_s(order)

    async def add(data: Data) -> None:
        due = math.ceil(time.time() + wait) if wait else 0
        await queue.enqueue(JOB, data=data, ttl=DELETE, scheduled=due)

    await queue.connect()
    await queue.count("queued")  # opens the connection
    await add_jobs(order, add)
    await queue.disconnect()


async def _work(order: Order) -> None:
    shift = Shift(order)
    handle = shift.handler()

    async def process(_context: Any, *, data: Data) -> None:
        await handle(data)

    queue = _queue(order)
    worker = Worker(
        queue,
        [(JOB, process)],
        concurrency=order.concurrency,
        dequeue_timeout=5.0,
    )
    await queue.connect()
    # The worker sweeps as it starts, and takes jobs that it has just claimed for stuck ones. After
    # this sweep the next one is due in a minute.
    await queue.sweep()
    async with asyncio.TaskGroup() as group:
        group.create_task(worker.start())
        await shift.last()
        await until(lambda: queue.count("active"), 0)
        await worker.stop()
    await queue.disconnect()


if __name__ == "__main__":
    main(enqueue=enqueue, work=work)
