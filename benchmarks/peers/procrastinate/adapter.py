"""Procrastinate on PostgreSQL: asyncio (psycopg), a statement to fetch and one to finish a job.

Jobs are added by ``batch_defer_async`` and deleted when they have succeeded
(``delete_jobs="successful"``); notifications are on, 20 connections, uvloop.
"""

from __future__ import annotations

import asyncio
import contextlib

import procrastinate
import uvloop
from benchmarks.peers.common import Data, Shift, add_jobs, delay_s, quiet
from benchmarks.protocol import Order, main

LACKS = (
    "events",
    "results",
    "flows",
)
SERVER = "postgresql"
MOST_JOBS = 5_000

JOB = "handle"
CONNECTIONS = 20
INSTALLED = "SELECT to_regclass('procrastinate_jobs') IS NOT NULL AS installed"


def enqueue(order: Order) -> None:
    """Add the jobs."""
    uvloop.run(_enqueue(order))


def work(order: Order) -> None:
    """Run the jobs."""
    quiet("procrastinate")
    uvloop.run(_work(order))


def _app(order: Order) -> procrastinate.App:
    return procrastinate.App(
        connector=procrastinate.PsycopgConnector(
            conninfo=order.url, min_size=1, max_size=CONNECTIONS
        )
    )


async def _enqueue(order: Order) -> None:
    app = _app(order)
    wait = {"seconds": delay_s(order)} if delay_s(order) else None

    async def add(data: Data) -> None:
        job = app.configure_task(JOB, queue=order.queue, schedule_in=wait)
        await job.defer_async(data=data)

    async def add_many(datas: list[Data]) -> None:
        job = app.configure_task(JOB, queue=order.queue, schedule_in=wait)
        await job.batch_defer_async(*({"data": data} for data in datas))

    async with app.open_async():
        await _install(app)
        await add_jobs(order, add, add_many)


async def _work(order: Order) -> None:
    app = _app(order)
    shift = Shift(order)
    handle = shift.handler()

    @app.task(name=JOB, queue=order.queue)
    async def process(data: Data) -> None:
        await handle(data)

    async with app.open_async():
        await _install(app)
        async with asyncio.TaskGroup() as group:
            running = group.create_task(
                app.run_worker_async(
                    queues=[order.queue],
                    concurrency=order.concurrency,
                    delete_jobs="successful",
                    install_signal_handlers=False,
                )
            )
            await shift.last()
            running.cancel()  # it finishes its jobs first
            with contextlib.suppress(asyncio.CancelledError):
                await running


async def _install(app: procrastinate.App) -> None:
    if not (await app.connector.execute_query_one_async(INSTALLED))["installed"]:
        await app.schema_manager.apply_schema_async()


if __name__ == "__main__":
    main(enqueue=enqueue, work=work)
