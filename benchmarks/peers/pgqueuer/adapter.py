"""PgQueuer on PostgreSQL: asyncio (asyncpg), jobs claimed and acknowledged in batches.

Jobs are added by ``enqueue`` with lists; batches are half the concurrency, the largest that it
allows, and at most ``max_concurrent_tasks`` jobs run at a time (two where one is asked for, its
least); uvloop. A run job's row is replaced by one in its log.
"""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta

import asyncpg
import uvloop
from benchmarks.peers.common import BATCH, Data, Shift, add_jobs, delay_s, quiet
from benchmarks.protocol import Order, main
from pgqueuer import PgQueuer, Queries
from pgqueuer.models import Job

LACKS = (
    "events",
    "results",
    "flows",
)
SERVER = "postgresql"

CONNECTIONS = 10


def enqueue(order: Order) -> None:
    """Add the jobs."""
    uvloop.run(_enqueue(order))


def work(order: Order) -> None:
    """Run the jobs."""
    quiet("pgqueuer")
    uvloop.run(_work(order))


async def _enqueue(order: Order) -> None:
    wait = timedelta(seconds=delay_s(order)) or None
    async with asyncpg.create_pool(order.url, min_size=1, max_size=CONNECTIONS) as pool:
        queries = Queries.from_asyncpg_pool(pool)

        async def add(data: Data) -> None:
            await queries.enqueue(order.queue, json.dumps(data).encode(), execute_after=wait)

        async def add_many(datas: list[Data]) -> None:
            payloads = [json.dumps(data).encode() for data in datas]
            await queries.enqueue(
                [order.queue] * len(datas), payloads, [0] * len(datas), [wait] * len(datas)
            )

        await _install(queries)
        await add_jobs(order, add, add_many, batch=BATCH)


async def _work(order: Order) -> None:
    connection = await asyncpg.connect(order.url)
    manager = PgQueuer.from_asyncpg_connection(connection)
    await _install(Queries.from_asyncpg_connection(connection))
    shift = Shift(order)
    handle = shift.handler()

    @manager.entrypoint(order.queue)
    async def process(job: Job) -> None:
        await handle(json.loads(job.payload or b""))

    batch = max(1, order.concurrency // 2)
    async with asyncio.TaskGroup() as group:
        group.create_task(
            manager.run(batch_size=batch, max_concurrent_tasks=max(2, order.concurrency))
        )
        await shift.last()
        manager.shutdown.set()
    await connection.close()


async def _install(queries: Queries) -> None:
    if not await queries.schema_is_installed():
        await queries.install()


if __name__ == "__main__":
    main(enqueue=enqueue, work=work)
