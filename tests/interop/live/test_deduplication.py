"""Deduplication ids, held by a job of one side and met by the other."""

from __future__ import annotations

from typing import Any

import pytest
from tests.interop.live.both import KINDS, Both, Kind
from tests.interop.live.node_side import NodeSide
from tests.interop.live.oxcart_side import OxcartSide, wait_for_event
from tests.interop.live.waiting import wait_for

from oxcart import Deduplication, JobContext, JobCounts, JobState


async def test_job_of_nodes_deduplication_id_is_added_once(
    node: NodeSide, oxcart_side: OxcartSide
) -> None:
    queue = await oxcart_side.queue()
    events = await node.queue().follow()
    holder = await node.queue().add("echo", "by node", deduplication={"id": "d"})

    again = await queue.add("echo", "by oxcart", deduplication=Deduplication(id="d"))

    told = await events.wait_for("deduplicated")
    assert (holder["id"], False) == (again.id, again.is_new)
    assert (holder["id"], "d") == (told["jobId"], told["deduplicationId"])
    assert holder["id"] == await queue.get_deduplication_job_id("d")
    assert JobCounts(waiting=1) == await queue.get_counts()


async def test_job_of_oxcarts_deduplication_id_is_added_once(
    node: NodeSide, oxcart_side: OxcartSide
) -> None:
    queue = await oxcart_side.queue()
    holder = await queue.add("echo", "by oxcart", deduplication="d")

    async with oxcart_side.follow() as seen:
        again = await node.queue().add("echo", "by node", deduplication={"id": "d"})
        told = await wait_for_event(seen, "deduplicated", job_id=holder.id)

    assert holder.id == again["id"]
    assert "d" == told.data["deduplicationId"]
    assert holder.id == await node.queue().call("getDeduplicationJobId", "d")
    assert "d" == (await node.queue().job(holder.id))["deduplicationId"]
    assert JobCounts(waiting=1) == await queue.get_counts()


@pytest.mark.parametrize("runner", KINDS)
@pytest.mark.parametrize("adder", KINDS)
async def test_id_is_free_again_once_its_holder_has_run(
    node: NodeSide, oxcart_side: OxcartSide, adder: Kind, runner: Kind
) -> None:
    queue = await oxcart_side.queue()
    async with Both(node, oxcart_side).worker(runner):
        for _ in range(2):
            if adder == "node":
                job_id = (await node.queue().add("echo", deduplication={"id": "d"}))["id"]
            else:
                job_id = (await queue.add("echo", deduplication="d")).id
            await node.queue().result(job_id)

    assert JobCounts(completed=2) == await queue.get_counts()
    assert await queue.get_deduplication_job_id("d") is None


@pytest.mark.parametrize("runner", KINDS)
async def test_id_with_a_time_outlives_its_holder_until_either_side_frees_it(
    node: NodeSide, oxcart_side: OxcartSide, runner: Kind
) -> None:
    queue = await oxcart_side.queue()
    held_by_node: dict[str, Any] = {"id": "n", "ttl": 3_600_000}
    held_by_oxcart = Deduplication(id="o", ttl="1h")
    by_node = await node.queue().add("echo", deduplication=held_by_node)
    by_oxcart = await queue.add("echo", deduplication=held_by_oxcart)
    async with Both(node, oxcart_side).worker(runner):
        await node.queue().result(by_node["id"])
        await node.queue().result(by_oxcart.id)

    assert by_node["id"] == (await queue.add("echo", deduplication=Deduplication(id="n"))).id
    assert by_oxcart.id == (await node.queue().add("echo", deduplication={"id": "o"}))["id"]

    assert await queue.remove_deduplication_key("n")
    assert 1 == await node.queue().call("removeDeduplicationKey", "o")
    assert (await queue.add("echo", deduplication="n")).is_new
    assert by_oxcart.id != (await node.queue().add("echo", deduplication={"id": "o"}))["id"]


async def test_delayed_holder_is_replaced_by_the_other_side(
    node: NodeSide, oxcart_side: OxcartSide
) -> None:
    queue = await oxcart_side.queue()
    by_node = await node.queue().add(
        "echo", 1, delay=3_600_000, deduplication={"id": "d", "replace": True}
    )

    by_oxcart = await queue.add(
        "echo", 2, delay="1h", deduplication=Deduplication(id="d", replace=True)
    )
    assert JobState.UNKNOWN == await queue.get_state(by_node["id"])
    last = await node.queue().add(
        "echo", 3, delay=3_600_000, deduplication={"id": "d", "replace": True}
    )

    assert "unknown" == await node.queue().call("getJobState", by_oxcart.id)
    assert last["id"] == await queue.get_deduplication_job_id("d")
    assert JobCounts(delayed=1) == await queue.get_counts()


async def test_last_of_nodes_jobs_is_kept_while_oxcart_runs_the_holder(
    node: NodeSide, oxcart_side: OxcartSide
) -> None:
    queue = await oxcart_side.queue()
    kept = {"id": "d", "keepLastIfActive": True}
    seen: list[Any] = []

    async def handle(job: JobContext) -> None:
        seen.append(job.data)
        if job.data == 1:
            await node.queue().add("echo", 2, deduplication=kept)
            await node.queue().add("echo", 3, deduplication=kept)

    async with oxcart_side.worker(handler=handle):
        await node.queue().add("echo", 1, deduplication=kept)
        await wait_for(queue.get_counts, lambda now: now.completed == 2, what="the last to run")

    assert [1, 3] == seen


async def test_last_of_oxcarts_jobs_is_kept_while_node_runs_the_holder(
    node: NodeSide, oxcart_side: OxcartSide
) -> None:
    queue = await oxcart_side.queue()
    kept = Deduplication(id="d", keep_last_if_active=True)
    await node.queue().start_worker()
    holder = await queue.add("hold", 1, deduplication=kept)
    await wait_for(holder.state, lambda now: now == JobState.ACTIVE, what="Node to take it")

    await queue.add("echo", 2, deduplication=kept)
    await queue.add("echo", 3, deduplication=kept)
    await node.queue().release(holder.id)
    await wait_for(queue.get_counts, lambda now: now.completed == 2, what="the last to run")

    done = await queue.get_jobs(JobState.COMPLETED)
    assert {"released", 3} == {job.return_value for job in done}
