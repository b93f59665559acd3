"""Metrics, workers, settings and events of one's own, seen from both sides."""

from __future__ import annotations

import pytest
from tests.interop.live.node_side import NodeSide
from tests.interop.live.oxcart_side import OxcartSide
from tests.interop.live.peer import NodeError
from tests.interop.live.waiting import wait_for

from oxcart import JobState


async def test_both_sides_count_finished_jobs_together(
    node: NodeSide, oxcart_side: OxcartSide
) -> None:
    queue = await oxcart_side.queue()
    worker = await node.queue().start_worker(metrics={"maxDataPoints": 60})
    for _ in range(3):
        await (await queue.add("echo")).result()
    await worker.close()
    async with oxcart_side.worker(metrics=60):
        for _ in range(2):
            added = await node.queue().add("echo")
            await node.queue().result(added["id"])
        bad = await node.queue().add("hopeless", {"reason": "so be it"})
        with pytest.raises(NodeError):
            await node.queue().result(bad["id"])

    completed = await queue.get_metrics(JobState.COMPLETED)
    failed = await queue.get_metrics(JobState.FAILED)
    theirs = await node.queue().call("getMetrics", "completed")
    their_failed = await node.queue().call("getMetrics", "failed")
    assert (5, 1) == (completed.count, failed.count)
    assert (5, 1) == (theirs["meta"]["count"], their_failed["meta"]["count"])
    assert theirs["meta"]["prevTS"] == completed.previous_at_ms
    assert list(completed.points) == [int(point) for point in theirs["data"]]


async def test_each_side_sees_the_workers_of_both(node: NodeSide, oxcart_side: OxcartSide) -> None:
    queue = await oxcart_side.queue()
    await node.queue().start_worker(name="node")
    async with oxcart_side.worker(name="oxcart"):
        ours = await wait_for(queue.get_workers, lambda found: len(found) == 2, what="2 workers")
        theirs = await node.queue().call("getWorkers")

    assert {"node", "oxcart"} == {worker.name for worker in ours}
    assert {"node", "oxcart"} == {worker["rawname"].rpartition(":w:")[2] for worker in theirs}


async def test_each_side_reads_the_settings_that_the_other_made(
    node: NodeSide, oxcart_side: OxcartSide
) -> None:
    queue = await oxcart_side.queue()
    await node.queue().call("setGlobalConcurrency", 7)
    await node.queue().call("pause")

    ours = await queue.get_meta()
    theirs = await node.queue().call("getMeta")

    assert (7, True) == (ours.concurrency, ours.is_paused)
    assert (7, True) == (theirs["concurrency"], theirs["paused"])
    assert theirs["maxLenEvents"] == ours.events_length


async def test_event_that_oxcart_published_reaches_node(
    node: NodeSide, oxcart_side: OxcartSide
) -> None:
    queue = await oxcart_side.queue()
    events = await node.queue().follow("stock-low")

    await queue.publish_event("stock-low", article="a7", left=2)

    assert {"article": "a7", "left": "2"} == await events.wait_for("stock-low")
