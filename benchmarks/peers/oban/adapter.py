"""Oban for Python on PostgreSQL: asyncio (psycopg), jobs claimed and acknowledged in batches.

Jobs are added by ``enqueue_many``; 10 connections, uvloop. Run jobs stay in their table until its
pruner deletes them, after a day as shipped. Needs Python 3.12.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import uvloop
from benchmarks.peers.common import Data, Shift, add_jobs, delay_s, quiet
from benchmarks.protocol import Order, main
from oban import Job, Oban, worker
from oban.schema import install

LACKS = (
    "events",
    "results",
    "removal",
    "flows",
)
SERVER = "postgresql"

CONNECTIONS = 10
INSTALLED = "SELECT to_regclass('oban_jobs') IS NOT NULL"

_handlers: dict[str, Any] = {}


class Mail:
    """The job of every workload."""

    async def process(self, job: Job) -> None:
        """Run it."""
        await _handlers["handle"](job.args)


mail: Any = worker()(Mail)


def enqueue(order: Order) -> None:
    """Add the jobs."""
    uvloop.run(_enqueue(order))


def work(order: Order) -> None:
    """Run the jobs."""
    quiet("oban")
    uvloop.run(_work(order))


async def _enqueue(order: Order) -> None:
    pool = await Oban.create_pool(order.url, min_size=1, max_size=CONNECTIONS)
    options: dict[str, Any] = {"queue": order.queue}
    if delay_s(order):
        options["schedule_in"] = timedelta(seconds=delay_s(order))

    async def add(data: Data) -> None:
        await client.enqueue(mail.new(data, **options))

    async def add_many(datas: list[Data]) -> None:
        await client.enqueue_many([mail.new(data, **options) for data in datas])

    await _install(pool)
    async with Oban(pool=pool) as client:
        await add_jobs(order, add, add_many)
    await pool.close()


async def _work(order: Order) -> None:
    pool = await Oban.create_pool(order.url, min_size=1, max_size=CONNECTIONS)
    await _install(pool)
    shift = Shift(order)
    _handlers["handle"] = shift.handler()
    async with Oban(pool=pool, queues={order.queue: order.concurrency}):
        await shift.last()
    await pool.close()


async def _install(pool: Any) -> None:
    async with pool.connection() as connection:
        cursor = await connection.execute(INSTALLED)
        (installed,) = await cursor.fetchone()
    if not installed:
        await install(pool)


if __name__ == "__main__":
    main(enqueue=enqueue, work=work)
