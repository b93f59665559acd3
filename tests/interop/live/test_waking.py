"""A Node worker that waits, and would for an hour, is woken by whatever oxcart makes ready."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import redis
from tests.interop.live.node_side import NodeSide
from tests.interop.live.oxcart_side import OxcartSide
from tests.support import wait_until

from oxcart import FlowNode, FlowProducer, Job, JobSpec, Queue, Schedule

HOUR_S = 3_600

Wake = Callable[[Queue, FlowProducer], Awaitable[Job[Any]]]


async def add(queue: Queue, _: FlowProducer) -> Job[Any]:
    return await queue.add("echo", 1)


async def add_many(queue: Queue, _: FlowProducer) -> Job[Any]:
    return (await queue.add_many([JobSpec(name="echo", data=1)]))[0]


async def add_with_priority(queue: Queue, _: FlowProducer) -> Job[Any]:
    return await queue.add("echo", 1, priority=5)


async def add_delayed(queue: Queue, _: FlowProducer) -> Job[Any]:
    return await queue.add("echo", 1, delay="100ms")


async def promote(queue: Queue, _: FlowProducer) -> Job[Any]:
    job = await queue.add("echo", 1, delay="1h")
    await job.promote()
    return job


async def promote_all(queue: Queue, _: FlowProducer) -> Job[Any]:
    job = await queue.add("echo", 1, delay="1h")
    await queue.promote_all()
    return job


async def change_delay(queue: Queue, _: FlowProducer) -> Job[Any]:
    job = await queue.add("echo", 1, delay="1h")
    await job.change_delay("100ms")
    return job


async def resume(queue: Queue, _: FlowProducer) -> Job[Any]:
    await queue.pause()
    job = await queue.add("echo", 1)
    await queue.resume()
    return job


async def add_flow(_: Queue, flows: FlowProducer) -> Job[Any]:
    child = FlowNode("echo", queue="q", data=1)
    return (await flows.add(FlowNode("gather", queue="q", children=[child]))).children[0].job


async def remove_last_child(queue: Queue, flows: FlowProducer) -> Job[Any]:
    child = FlowNode("echo", queue="other")
    added = await flows.add(FlowNode("echo", queue="q", data=1, children=[child]))
    await added.children[0].job.remove()
    return added.job


async def schedule(queue: Queue, _: FlowProducer) -> Job[Any]:
    return await queue.upsert_scheduler("tick", Schedule.every("1h", limit=1), "echo", 1)


@pytest.mark.parametrize(
    "wake",
    [
        add, add_many, add_with_priority, add_delayed, promote, promote_all, change_delay, resume,
        add_flow, remove_last_child, schedule,
    ],
)  # fmt: skip
async def test_waiting_node_worker_is_woken(
    node: NodeSide, oxcart_side: OxcartSide, valkey: redis.Redis, wake: Wake
) -> None:
    queue, flows = await oxcart_side.queue(), await oxcart_side.flows()
    worker = await node.queue().start_worker(drainDelay=HOUR_S)
    await wait_until(lambda: waits(valkey, worker.name), what="the worker to wait")

    job = await wake(queue, flows)

    assert 1 == await job.result()


@pytest.mark.parametrize("is_retried_in_bulk", [True, False])
async def test_waiting_node_worker_is_woken_by_a_retry(
    node: NodeSide, oxcart_side: OxcartSide, valkey: redis.Redis, is_retried_in_bulk: bool
) -> None:
    queue = await oxcart_side.queue()
    events = await node.queue().follow()
    worker = await node.queue().start_worker(drainDelay=HOUR_S)
    job = await queue.add("flaky", {"failures": 1})
    await events.wait_for("failed", job_id=job.id)
    await wait_until(lambda: waits(valkey, worker.name), what="the worker to wait")

    if is_retried_in_bulk:
        await queue.retry_all()
    else:
        await job.retry()

    assert 2 == await job.result()


def waits(client: redis.Redis, name: str) -> bool:
    """Whether a worker of this name is blocked in its wait for the marker."""
    clients: Any = client.client_list()
    return any(
        found["cmd"] == "bzpopmin" and "b" in found["flags"] and found["name"].endswith(f":{name}")
        for found in clients
    )
