"""What the adapters of taskiq's two brokers share; they differ in the broker alone."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import uvloop
from redis.exceptions import ConnectionError as RedisConnectionError
from taskiq import AsyncBroker
from taskiq.receiver import Receiver
from taskiq.serializers import ORJSONSerializer

from benchmarks.peers.common import Data, Shift, add_jobs, quiet
from benchmarks.protocol import Order

JOB = "handle"
STOP_S = 3.0
NewBroker = Callable[[Order], AsyncBroker]


def enqueue(order: Order, new_broker: NewBroker) -> None:
    """Add the jobs."""
    uvloop.run(_enqueue(order, new_broker))


def work(order: Order, new_broker: NewBroker) -> None:
    """Run the jobs."""
    quiet("taskiq")
    uvloop.run(_work(order, new_broker))


async def _enqueue(order: Order, new_broker: NewBroker) -> None:
    async def process(data: Data) -> None:
        """Run elsewhere."""

    broker, job = _prepare(new_broker(order), process)

    async def add(data: Data) -> None:
        await job.kiq(data)

    await broker.startup()
    await add_jobs(order, add)
    await broker.shutdown()


async def _work(order: Order, new_broker: NewBroker) -> None:
    shift = Shift(order)
    handle = shift.handler()

    async def process(data: Data) -> None:
        await handle(data)

    broker, _ = _prepare(new_broker(order), process)
    broker.is_worker_process = True
    receiver = Receiver(broker, validate_params=False, max_async_tasks=order.concurrency)
    stopping = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        listening = group.create_task(_listen(receiver, stopping))
        await shift.last()
        stopping.set()
        # The stream broker may miss that it is to stop and read on, after it has acknowledged
        # its jobs; without its connections it ends.
        while not listening.done():
            await asyncio.wait({listening}, timeout=STOP_S)
            await broker.shutdown()


async def _listen(receiver: Receiver, stopping: asyncio.Event) -> None:
    try:
        await receiver.listen(stopping)
    except RedisConnectionError:
        if not stopping.is_set():
            raise


def _prepare(broker: AsyncBroker, process: Callable[..., Any]) -> tuple[AsyncBroker, Any]:
    broker = broker.with_serializer(ORJSONSerializer())
    return broker, broker.register_task(process, task_name=JOB)
