"""taskiq with taskiq-redis' list broker: asyncio, a job leaves Redis before it runs.

Jobs are added from 100 coroutines (it has no bulk call); no result backend, parameters are not
parsed (``--no-parse``), orjson, uvloop and hiredis. A worker that dies loses its jobs.
"""

from __future__ import annotations

from benchmarks.peers import taskiq_jobs
from benchmarks.peers.common import connections
from benchmarks.protocol import Order, main
from taskiq_redis import ListQueueBroker

LACKS = (
    "locks",
    "events",
    "results",
    "retries",
    "recovery",
    "bulk adds",
    "delays",
    "priorities",
    "flows",
    "retention",
)


def enqueue(order: Order) -> None:
    """Add the jobs."""
    taskiq_jobs.enqueue(order, _broker)


def work(order: Order) -> None:
    """Run the jobs."""
    taskiq_jobs.work(order, _broker)


def _broker(order: Order) -> ListQueueBroker:
    return ListQueueBroker(
        order.url,
        queue_name=order.queue,
        max_connection_pool_size=connections(order),
    )


if __name__ == "__main__":
    main(enqueue=enqueue, work=work)
