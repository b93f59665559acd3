"""Ids of one's own, and adding the same id on both sides."""

from __future__ import annotations

from tests.interop.live.node_side import NodeSide
from tests.interop.live.oxcart_side import OxcartSide, wait_for_event

from oxcart import JobCounts


async def test_id_that_node_gave_is_added_no_second_time_by_oxcart(
    node: NodeSide, oxcart_side: OxcartSide
) -> None:
    queue = await oxcart_side.queue()
    events = await node.queue().follow()
    await node.queue().add("echo", "by node", jobId="order-7")

    again = await queue.add("echo", "by oxcart", job_id="order-7")
    await events.wait_for("duplicated", job_id="order-7")

    async with oxcart_side.worker():
        assert "by node" == await again.result()
    assert not again.is_new
    assert JobCounts(completed=1) == await queue.get_counts()


async def test_id_that_oxcart_gave_is_added_no_second_time_by_node(
    node: NodeSide, oxcart_side: OxcartSide
) -> None:
    queue = await oxcart_side.queue()
    job = await queue.add("echo", "by oxcart", job_id="order-7")

    async with oxcart_side.follow() as seen:
        again = await node.queue().add("echo", "by node", jobId="order-7")
        await wait_for_event(seen, "duplicated", job_id="order-7")

    await node.queue().start_worker()
    assert "by oxcart" == await job.result()
    assert job.id == again["id"]
    assert 1 == (await node.queue().call("getJobCounts"))["completed"]


async def test_both_sides_count_ids_together(node: NodeSide, oxcart_side: OxcartSide) -> None:
    queue = await oxcart_side.queue()

    ids = [
        (await node.queue().add("echo"))["id"],
        (await queue.add("echo")).id,
        (await node.queue().add("echo"))["id"],
        (await queue.add("echo")).id,
    ]

    assert ["1", "2", "3", "4"] == ids
