"""arq: asyncio on Redis; a worker polls a sorted set.

Jobs are added from 100 coroutines (it has no bulk call); results are off (``keep_result=0``), the
queue is polled every 10 ms instead of every 500, and jobs are packed with msgpack, as its
documentation shows; uvloop and hiredis.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import msgpack
import uvloop
from arq import create_pool, func
from arq.connections import RedisSettings
from arq.worker import Worker
from benchmarks.peers.common import Data, Shift, add_jobs, delay_s, quiet, until
from benchmarks.protocol import Order, main

LACKS = (
    "events",
    "bulk adds",
    "priorities",
    "flows",
    "blocking fetch",
)

JOB = "handle"
POLL_S = 0.01


def enqueue(order: Order) -> None:
    """Add the jobs."""
    uvloop.run(_enqueue(order))


def work(order: Order) -> None:
    """Run the jobs."""
    quiet("arq")
    uvloop.run(_work(order))


async def _enqueue(order: Order) -> None:
    pool = await create_pool(
        RedisSettings.from_dsn(order.url),
        default_queue_name=order.queue,
        job_serializer=msgpack.packb,
        job_deserializer=_unpack,
    )
    wait = delay_s(order) or None

    async def add(data: Data) -> None:
        await pool.enqueue_job(JOB, data, _defer_by=wait)

    await add_jobs(order, add)
    await pool.aclose()


async def _work(order: Order) -> None:
    shift = Shift(order)
    handle = shift.handler()

    async def process(_context: Any, data: Data) -> None:
        await handle(data)

    worker = Worker(
        [func(process, name=JOB, keep_result=0)],
        queue_name=order.queue,
        redis_settings=RedisSettings.from_dsn(order.url),
        max_jobs=order.concurrency,
        poll_delay=POLL_S,
        keep_result=0,
        log_results=False,
        handle_signals=False,
        job_serializer=msgpack.packb,
        job_deserializer=_unpack,
    )
    async with asyncio.TaskGroup() as group:
        running = group.create_task(worker.async_run())
        await shift.last()
        await until(lambda: sum(not task.done() for task in worker.tasks.values()), 0)
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running
    await worker.close()


def _unpack(packed: bytes) -> Any:
    return msgpack.unpackb(packed, raw=False)


if __name__ == "__main__":
    main(enqueue=enqueue, work=work)
