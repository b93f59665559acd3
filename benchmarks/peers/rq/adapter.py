"""RQ on Redis: one job at a time, whatever the concurrency, in the worker's own process.

Jobs are added by ``enqueue_many``; the worker is ``SimpleWorker``, which does not fork for each
job, and results are off (``result_ttl=0``, which deletes a job that succeeded); hiredis.
"""

from __future__ import annotations

import os
import signal
from datetime import timedelta
from typing import Any

import redis
import rq
from benchmarks.peers.common import Data, Shift, add_jobs_blocking, connections, delay_s
from benchmarks.peers.rq import handlers
from benchmarks.protocol import Order, main

LACKS = (
    "concurrency",
    "locks",
    "events",
    "async",
    "priorities",
    "delays under 1 s",
)
MOST_JOBS = 2_000


def enqueue(order: Order) -> None:
    """Add the jobs."""
    queue = _queue(order)
    options: dict[str, Any] = {"result_ttl": 0, "description": "mail"}
    wait = timedelta(seconds=delay_s(order))

    def add(data: Data) -> None:
        if wait:
            queue.enqueue_in(wait, handlers.PATH, data, **options)
        else:
            queue.enqueue(handlers.PATH, data, **options)

    def add_many(datas: list[Data]) -> None:
        queue.enqueue_many(
            [rq.Queue.prepare_data(handlers.PATH, (data,), **options) for data in datas]
        )

    queue.connection.ping()
    add_jobs_blocking(order, add, add_many)


def work(order: Order) -> None:
    """Run the jobs."""
    shift = Shift(order)
    handlers.set_run(shift.handler_blocking())
    queue = _queue(order)
    worker = rq.SimpleWorker([queue], connection=queue.connection, log_job_description=False)
    shift.then(lambda: os.kill(os.getpid(), signal.SIGTERM))
    worker.work(logging_level="WARNING", with_scheduler="delay_ms" in order.options)


def _queue(order: Order) -> rq.Queue:
    pool = redis.ConnectionPool.from_url(order.url, max_connections=connections(order))
    return rq.Queue(order.queue, connection=redis.Redis(connection_pool=pool))


if __name__ == "__main__":
    main(enqueue=enqueue, work=work)
