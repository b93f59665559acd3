"""Jobs that one side adds and the other runs: what arrives, when, and in which order."""

from __future__ import annotations

from typing import Any

import pytest
from tests.interop.live.conftest import NodeOf
from tests.interop.live.node_side import NodeSide
from tests.interop.live.oxcart_side import OxcartSide
from tests.interop.live.waiting import wait_for

from oxcart import JobContext, JobCounts, JobSpec, JobState, JsonValue

PAYLOADS: list[JsonValue] = [
    {"to": "müller@example.org", "subject": "Grüße 🐂", "tags": [], "nested": {"none": None}},
    [1, 2.5, "three", None, True, {}],
    "just text",
    0,
    {"deep": [[[{"a": [1, {"b": '\\ " \n \u2028'}]}]]], "large": 2**53 - 1},
]


@pytest.mark.parametrize("data", PAYLOADS)
async def test_oxcart_runs_what_node_adds_and_node_reads_what_it_returned(
    node: NodeSide, oxcart_side: OxcartSide, data: JsonValue
) -> None:
    queue = await oxcart_side.queue()
    added = await node.queue().add("echo", data)

    async with oxcart_side.worker():
        job = await queue.get_job(added["id"])
        assert job is not None
        result = await job.result()

    seen = await node.queue().job(added["id"])
    assert data == job.data == result == seen["returnvalue"]
    assert "completed" == await node.queue().state(added["id"])


@pytest.mark.parametrize("data", PAYLOADS)
async def test_node_runs_what_oxcart_adds_and_oxcart_reads_what_it_returned(
    node: NodeSide, oxcart_side: OxcartSide, data: JsonValue
) -> None:
    queue = await oxcart_side.queue()
    await node.queue().start_worker()

    job = await queue.add("echo", data)
    result = await job.result()

    seen = await node.queue().job(job.id)
    assert data == result == seen["data"] == seen["returnvalue"]
    assert JobState.COMPLETED == await job.state()


async def test_oxcart_runs_a_bulk_that_node_adds(node: NodeSide, oxcart_side: OxcartSide) -> None:
    queue = await oxcart_side.queue()
    bulk = [{"name": "echo", "data": {"number": number}} for number in range(100)]

    await node.queue().call("addBulk", bulk)
    async with oxcart_side.worker(concurrency=10):
        await wait_for(queue.get_counts, lambda now: now.completed == 100, what="100 to complete")

    done = await node.queue().call("getCompleted", 0, -1)
    assert list(range(100)) == sorted(job["returnvalue"]["number"] for job in done)


@pytest.mark.parametrize("is_added_by_node", [True, False])
async def test_delayed_job_waits_on_either_side_until_it_is_due(
    node: NodeSide, oxcart_side: OxcartSide, is_added_by_node: bool
) -> None:
    queue = await oxcart_side.queue()
    if is_added_by_node:
        job_id = (await node.queue().add("echo", "late", delay=400))["id"]
    else:
        job_id = (await queue.add("echo", "late", delay="400ms")).id
    assert "delayed" == await node.queue().state(job_id) == await queue.get_state(job_id)

    if is_added_by_node:
        async with oxcart_side.worker():
            await node.queue().result(job_id)
    else:
        await node.queue().start_worker()
        await node.queue().result(job_id)

    seen = await node.queue().job(job_id)
    assert 400 <= seen["processedOn"] - seen["timestamp"]
    assert 0 == seen["delay"]


async def test_oxcart_runs_nodes_jobs_in_nodes_order(
    node: NodeSide, oxcart_side: OxcartSide
) -> None:
    await add_mixed_by_node(node)
    seen: list[Any] = []

    async def handle(job: JobContext) -> None:
        seen.append(job.data)

    queue = await oxcart_side.queue()
    async with oxcart_side.worker(handler=handle):
        await wait_for(queue.get_counts, lambda now: now.completed == 6, what="all to complete")

    assert ["last in", "first", "second", "high", "low 1", "low 2"] == seen


async def test_node_runs_oxcarts_jobs_in_oxcarts_order(
    node: NodeSide, oxcart_side: OxcartSide
) -> None:
    queue = await oxcart_side.queue()
    await queue.add("echo", "low 1", priority=10)
    await queue.add("echo", "first")
    await queue.add("echo", "high", priority=2)
    await queue.add("echo", "low 2", priority=10)
    await queue.add("echo", "second")
    await queue.add("echo", "last in", lifo=True)
    assert JobCounts(waiting=3, prioritized=3) == await queue.get_counts()
    counts = await node.queue().call("getCountsPerPriority", [0, 2, 10])
    assert {"0": 3, "2": 1, "10": 2} == counts

    events = await node.queue().follow()
    await node.queue().start_worker()
    await wait_for(queue.get_counts, lambda now: now.completed == 6, what="all to complete")

    order = [(await node.queue().job(told["jobId"]))["data"] for told in events.named("active")]
    assert ["last in", "first", "second", "high", "low 1", "low 2"] == order


async def add_mixed_by_node(node: NodeSide) -> None:
    queue = node.queue()
    await queue.add("echo", "low 1", priority=10)
    await queue.add("echo", "first")
    await queue.add("echo", "high", priority=2)
    await queue.add("echo", "low 2", priority=10)
    await queue.add("echo", "second")
    await queue.add("echo", "last in", lifo=True)


@pytest.mark.parametrize("is_added_by_node", [True, False])
async def test_both_sides_share_the_jobs_of_a_queue(
    node: NodeSide, oxcart_side: OxcartSide, is_added_by_node: bool
) -> None:
    queue = await oxcart_side.queue()
    await node.queue().start_worker(name="node", concurrency=2)
    async with oxcart_side.worker(name="oxcart", concurrency=2):
        if is_added_by_node:
            bulk = [{"name": "who", "data": {"ms": 5}}] * 100
            await node.queue().call("addBulk", bulk)
        else:
            for _ in range(100):
                await queue.add("who", {"ms": 5})
        await wait_for(queue.get_counts, lambda now: now.completed == 100, what="100 to complete")

    done = await queue.get_jobs(JobState.COMPLETED, end=-1)
    assert {"node", "oxcart"} == {job.return_value for job in done}
    assert all(job.return_value == job.processed_by for job in done)
    assert {1} == {job.attempts_started for job in done}


async def test_both_releases_of_bullmq_and_oxcart_share_the_jobs_of_a_queue(
    node_of: NodeOf, oxcart_side: OxcartSide
) -> None:
    queue = await oxcart_side.queue()
    for major in (5, 6):
        await node_of(major).queue().start_worker(name=f"bullmq{major}", concurrency=2)
    async with oxcart_side.worker(name="oxcart", concurrency=2):
        for major in (5, 6):
            bulk = [{"name": "who", "data": {"ms": 5}}] * 50
            await node_of(major).queue().call("addBulk", bulk)
        await queue.add_many([JobSpec(name="who", data={"ms": 5})] * 50)
        await wait_for(queue.get_counts, lambda now: now.completed == 150, what="all to complete")

    done = await queue.get_jobs(JobState.COMPLETED, end=-1)
    assert {"bullmq5", "bullmq6", "oxcart"} == {job.return_value for job in done}
    assert {1} == {job.attempts_started for job in done}
