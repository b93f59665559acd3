"""Each side's event stream, read by the other."""

from __future__ import annotations

from typing import Any

from tests.interop.live.node_side import NodeSide
from tests.interop.live.oxcart_side import OxcartSide, wait_for_event

from oxcart import JobState, fixed


async def test_node_follows_a_job_that_oxcart_adds_and_runs(
    node: NodeSide, oxcart_side: OxcartSide
) -> None:
    queue = await oxcart_side.queue()
    events = await node.queue().follow()

    async with oxcart_side.worker():
        job = await queue.add(
            "flaky", {"failures": 1}, attempts=2, backoff=fixed("50ms"), delay="50ms"
        )
        await events.wait_for("completed", job_id=job.id)

    told = events.of(job.id)
    assert [
        "added", "delayed", "waiting", "active", "delayed", "waiting", "active", "completed",
    ] == [name for name, _ in told]  # fmt: skip
    members = dict(told)
    assert {"jobId": job.id, "name": "flaky"} == members["added"]
    assert {"jobId": job.id, "returnvalue": 2, "prev": "active"} == members["completed"]
    assert {"jobId": job.id, "prev": "delayed"} == members["waiting"]
    assert isinstance(members["delayed"]["delay"], int | float)


async def test_oxcart_follows_a_job_that_node_adds_and_runs(
    node: NodeSide, oxcart_side: OxcartSide
) -> None:
    await node.queue().start_worker()
    options: dict[str, Any] = {"attempts": 2, "backoff": 50, "delay": 50}

    async with oxcart_side.follow() as seen:
        added = await node.queue().add("flaky", {"failures": 1}, **options)
        done = await wait_for_event(seen, "completed", job_id=added["id"])

    told = [event for event in seen if event.job_id == added["id"]]
    assert [
        "added", "delayed", "waiting", "active", "delayed", "waiting", "active", "completed",
    ] == [event.name for event in told]  # fmt: skip
    assert {"returnvalue": 2, "prev": "active"} == done.data
    assert isinstance(told[1].data["delay"], int)


async def test_each_side_sees_a_failure_and_its_last_attempt_in_the_other(
    node: NodeSide, oxcart_side: OxcartSide
) -> None:
    queue = await oxcart_side.queue()
    events = await node.queue().follow()
    async with oxcart_side.worker():
        job = await queue.add("flaky", {"failures": 9}, attempts=2)
        failed = await events.wait_for("failed", job_id=job.id)
        exhausted = await events.wait_for("retries-exhausted", job_id=job.id)

    await node.queue().start_worker()
    async with oxcart_side.follow() as seen:
        added = await node.queue().add("flaky", {"failures": 9}, attempts=2)
        theirs = await wait_for_event(seen, "failed", job_id=added["id"])
        last = await wait_for_event(seen, "retries-exhausted", job_id=added["id"])

    assert {"jobId": job.id, "failedReason": "failure 2", "prev": "active"} == failed
    assert "2" == exhausted["attemptsMade"]
    assert {"failedReason": "failure 2", "prev": "active"} == theirs.data
    assert {"attemptsMade": "2"} == last.data


async def test_each_side_sees_that_the_other_drained_cleaned_and_removed(
    node: NodeSide, oxcart_side: OxcartSide
) -> None:
    queue = await oxcart_side.queue()
    events = await node.queue().follow()

    async with oxcart_side.follow() as seen:
        by_oxcart = await queue.add("echo")
        await node.queue().call("remove", by_oxcart.id)
        theirs = await wait_for_event(seen, "removed", job_id=by_oxcart.id)
    by_node = await node.queue().add("echo")
    await queue.remove(by_node["id"])
    ours = await events.wait_for("removed", job_id=by_node["id"])

    async with oxcart_side.worker():
        await queue.add("echo")
        await events.wait_for("drained")
    await queue.clean("0s", state=JobState.COMPLETED)
    cleaned = await events.wait_for("cleaned")

    assert {"prev": "wait"} == theirs.data
    assert {"jobId": by_node["id"], "prev": "wait"} == ours
    assert "1" == cleaned["count"]


async def test_event_of_ones_own_reaches_oxcart(node: NodeSide, oxcart_side: OxcartSide) -> None:
    async with oxcart_side.follow() as seen:
        await node.queue().publish(eventName="stock-low", article="a7")
        told = await wait_for_event(seen, "stock-low")

    assert {"article": "a7"} == told.data
