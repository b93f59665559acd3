"""Retention, removing, cleaning, draining and promoting across both sides."""

from __future__ import annotations

from typing import Any

import pytest
from tests.interop.live.node_side import NodeSide
from tests.interop.live.oxcart_side import OxcartSide
from tests.interop.live.peer import NodeError
from tests.interop.live.waiting import wait_for

from oxcart import JobCounts, JobState, JsonValue, Retention
from oxcart.errors import JobLocked


@pytest.mark.parametrize(("kept", "left"), [(True, 0), (2, 2), ({"count": 3}, 3), (False, 5)])
async def test_oxcart_keeps_as_many_of_nodes_jobs_as_node_says(
    node: NodeSide, oxcart_side: OxcartSide, kept: JsonValue, left: int
) -> None:
    queue = await oxcart_side.queue()
    options: dict[str, Any] = {"removeOnComplete": kept, "removeOnFail": kept}
    events = await node.queue().follow()

    async with oxcart_side.worker():
        for _ in range(5):
            await node.queue().add("echo", **options)
            last = await node.queue().add("hopeless", {"reason": "so be it"}, **options)
        await events.wait_for("failed", job_id=last["id"])

    assert JobCounts(completed=left, failed=left) == await queue.get_counts()


@pytest.mark.parametrize(
    ("kept", "left"), [(Retention.NONE, 0), (Retention(count=2, age="1h"), 2), (Retention.ALL, 5)]
)
async def test_node_keeps_as_many_of_oxcarts_jobs_as_oxcart_says(
    node: NodeSide, oxcart_side: OxcartSide, kept: Retention, left: int
) -> None:
    queue = await oxcart_side.queue()
    events = await node.queue().follow()
    await node.queue().start_worker()

    for _ in range(5):
        await queue.add("echo", keep_completed=kept, keep_failed=kept)
        last = await queue.add(
            "hopeless", {"reason": "so be it"}, keep_completed=kept, keep_failed=kept
        )
    await events.wait_for("failed", job_id=last.id)

    assert JobCounts(completed=left, failed=left) == await queue.get_counts()


async def test_neither_side_removes_what_the_other_is_running(
    node: NodeSide, oxcart_side: OxcartSide
) -> None:
    queue = await oxcart_side.queue()
    job = await queue.add("hold")
    async with oxcart_side.worker():
        await wait_for(job.state, lambda now: now == JobState.ACTIVE, what="oxcart to take it")
        assert 0 == await node.queue().call("remove", job.id)
    await queue.remove(job.id)

    await node.queue().start_worker()
    job = await queue.add("hold")
    await wait_for(job.state, lambda now: now == JobState.ACTIVE, what="Node to take it")
    with pytest.raises(JobLocked):
        await queue.remove(job.id)
    await node.queue().release(job.id)
    assert "released" == await job.result()


async def test_each_side_cleans_what_the_other_finished(
    node: NodeSide, oxcart_side: OxcartSide
) -> None:
    queue = await oxcart_side.queue()
    async with oxcart_side.worker():
        by_oxcart = {(await node.queue().add("echo"))["id"] for _ in range(5)}
        await wait_for(queue.get_counts, lambda now: now.completed == 5, what="5 to complete")
    assert by_oxcart == set(await node.queue().call("clean", 0, 100, "completed"))

    await node.queue().start_worker()
    by_node = {(await queue.add("echo")).id for _ in range(5)}
    await wait_for(queue.get_counts, lambda now: now.completed == 5, what="5 to complete")
    assert by_node == set(await queue.clean("0s", state=JobState.COMPLETED))
    assert JobCounts() == await queue.get_counts()


@pytest.mark.parametrize("is_drained_by_node", [True, False])
async def test_each_side_drains_what_both_added(
    node: NodeSide, oxcart_side: OxcartSide, is_drained_by_node: bool
) -> None:
    queue = await oxcart_side.queue()
    options: dict[str, Any]
    for options in ({}, {"priority": 3}):
        await node.queue().add("echo", **options)
        await queue.add("echo", **options)
    await node.queue().add("echo", delay=3_600_000)
    await queue.add("echo", delay="1h")

    if is_drained_by_node:
        await node.queue().call("drain")
    else:
        await queue.drain()
    assert JobCounts(delayed=2) == await queue.get_counts()

    if is_drained_by_node:
        await node.queue().call("drain", True)
    else:
        await queue.drain(delayed=True)
    assert JobCounts() == await queue.get_counts()


async def test_each_side_promotes_what_the_other_delayed(
    node: NodeSide, oxcart_side: OxcartSide
) -> None:
    queue = await oxcart_side.queue()
    by_node = await node.queue().add("who", delay=3_600_000)
    by_oxcart = await queue.add("who", delay="1h", priority=5)

    async with oxcart_side.worker(name="oxcart"):
        await queue.promote(by_node["id"])
        assert "oxcart" == await node.queue().result(by_node["id"])
    await node.queue().start_worker(name="node")
    await node.queue().call_job(by_oxcart.id, "promote")

    assert "node" == await by_oxcart.result()
    with pytest.raises(NodeError):
        await node.queue().call_job(by_oxcart.id, "promote")
