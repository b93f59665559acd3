"""dramatiq on Redis: as many threads as jobs at a time, in one process.

Jobs are added one after another, or from threads where the workload has callers (its calls block,
and it has no bulk call). Jobs are fetched two for each thread at a time, as shipped; no result
backend; hiredis. Its retries, age and time limits are on.
"""

from __future__ import annotations

from typing import Any

import dramatiq
import redis
from benchmarks.peers.common import Data, Shift, add_jobs_blocking, connections, quiet
from benchmarks.protocol import Order, main
from dramatiq.brokers.redis import RedisBroker

LACKS = (
    "locks",
    "events",
    "results",
    "bulk adds",
    "async",
    "priorities",
    "flows",
    "retention",
)

JOB = "handle"


def enqueue(order: Order) -> None:
    """Add the jobs."""

    def process(data: Data) -> None:
        """Run elsewhere."""

    broker, actor = _prepare(order, process)
    wait = order.options.get("delay_ms")

    def add(data: Data) -> None:
        actor.send_with_options(args=(data,), delay=wait)

    broker.client.ping()
    add_jobs_blocking(order, add)
    broker.close()


def work(order: Order) -> None:
    """Run the jobs."""
    quiet("dramatiq")
    shift = Shift(order, in_threads=True)
    broker, _ = _prepare(order, shift.handler_blocking())
    worker = dramatiq.Worker(broker, worker_threads=order.concurrency)
    worker.start()
    shift.last_blocking()
    worker.stop()
    broker.close()


def _prepare(order: Order, process: Any) -> tuple[RedisBroker, Any]:
    pool = redis.ConnectionPool.from_url(order.url, max_connections=connections(order))
    broker = RedisBroker(client=redis.Redis(connection_pool=pool))
    dramatiq.set_broker(broker)
    return broker, dramatiq.actor(process, actor_name=JOB, queue_name=order.queue)


if __name__ == "__main__":
    main(enqueue=enqueue, work=work)
