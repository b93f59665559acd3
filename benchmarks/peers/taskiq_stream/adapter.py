"""taskiq with taskiq-redis' stream broker: asyncio, consumer groups, acknowledged after the run.

Jobs are added from 100 coroutines (it has no bulk call); no result backend, parameters are not
parsed (``--no-parse``), orjson, uvloop and hiredis. Run jobs stay in the stream, which would have
to be trimmed by a ``maxlen`` that drops waiting jobs too.
"""

from __future__ import annotations

from benchmarks.peers import taskiq_jobs
from benchmarks.peers.common import connections
from benchmarks.protocol import Order, main
from taskiq_redis import RedisStreamBroker

LACKS = (
    "locks",
    "events",
    "results",
    "retries",
    "removal",
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


def _broker(order: Order) -> RedisStreamBroker:
    return RedisStreamBroker(
        order.url,
        queue_name=order.queue,
        max_connection_pool_size=connections(order),
    )


if __name__ == "__main__":
    main(enqueue=enqueue, work=work)
