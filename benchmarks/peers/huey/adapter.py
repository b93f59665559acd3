"""Huey on Redis: as many threads as jobs at a time; a job leaves Redis before it runs.

Jobs are added one after another, or from threads where the workload has callers (its calls block,
and it has no bulk call); results and periodic jobs are off, workers block on the queue; hiredis.
A worker that dies loses its jobs.
"""

from __future__ import annotations

from typing import Any

import huey
import redis
from benchmarks.peers.common import Data, Shift, add_jobs_blocking, connections, delay_s, quiet
from benchmarks.protocol import Order, main

LACKS = (
    "locks",
    "events",
    "results",
    "recovery",
    "bulk adds",
    "async",
    "priorities",
    "flows",
    "retention",
    "delays under 1 s",
)

JOB = "handle"


def enqueue(order: Order) -> None:
    """Add the jobs."""

    def process(data: Data) -> None:
        """Run elsewhere."""

    queue, job = _prepare(order, process)
    wait = delay_s(order)

    def add(data: Data) -> None:
        if wait:
            job.schedule((data,), delay=wait)
        else:
            job(data)

    queue.pending_count()  # opens the connection
    add_jobs_blocking(order, add)


def work(order: Order) -> None:
    """Run the jobs."""
    quiet("huey")
    shift = Shift(order, in_threads=True)
    handle = shift.handler_blocking()

    def process(data: Data) -> None:  # a job names its module, so that both roles have it here
        handle(data)

    queue, _ = _prepare(order, process)
    consumer = queue.create_consumer(
        workers=order.concurrency, worker_type="thread", periodic=False, scheduler_interval=1
    )
    consumer.start()
    shift.last_blocking()
    consumer.stop(graceful=True)


def _prepare(order: Order, process: Any) -> tuple[huey.RedisHuey, Any]:
    pool = redis.ConnectionPool.from_url(order.url, max_connections=connections(order))
    queue = huey.RedisHuey(order.queue, results=False, blocking=True, connection_pool=pool)
    return queue, queue.task(name=JOB)(process)


if __name__ == "__main__":
    main(enqueue=enqueue, work=work)
