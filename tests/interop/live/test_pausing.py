"""Pausing and resuming: each side pauses, the other resumes; both releases of BullMQ mixed."""

from __future__ import annotations

from tests.interop.live.conftest import NodeOf
from tests.interop.live.node_side import NodeSide
from tests.interop.live.oxcart_side import OxcartSide, wait_for_event
from tests.interop.live.waiting import wait_for

from oxcart import JobState


async def test_queue_that_node_paused_gives_oxcart_nothing_until_oxcart_resumes_it(
    node: NodeSide, oxcart_side: OxcartSide
) -> None:
    queue = await oxcart_side.queue()
    async with oxcart_side.worker(), oxcart_side.follow() as seen:
        before = await node.queue().add("echo", "before")
        await node.queue().result(before["id"])

        await node.queue().call("pause")
        await wait_for_event(seen, "paused")
        ids = [(await node.queue().add("echo", "by node"))["id"], (await queue.add("echo")).id]
        assert await queue.is_paused()
        assert 2 == (await queue.get_counts()).waiting

        await queue.resume()
        await wait_for(queue.get_counts, lambda now: now.completed == 3, what="all to complete")

    assert not await node.queue().call("isPaused")
    assert ["completed"] * 2 == [await node.queue().state(job_id) for job_id in ids]
    assert ["paused", "resumed"] == [e.name for e in seen if e.name in ("paused", "resumed")]


async def test_queue_that_oxcart_paused_gives_node_nothing_until_node_resumes_it(
    node: NodeSide, oxcart_side: OxcartSide
) -> None:
    queue = await oxcart_side.queue()
    events = await node.queue().follow()
    await node.queue().start_worker(drainDelay=1)

    await queue.pause()
    await events.wait_for("paused")
    jobs = [await queue.add("echo", number) for number in range(3)]
    assert await node.queue().call("isPaused")
    assert ["waiting"] * 3 == [await node.queue().state(job.id) for job in jobs]

    await node.queue().call("resume")
    # Release 5 writes no marker here: its workers look by themselves after a while.
    assert [0, 1, 2] == [await job.result() for job in jobs]
    assert not await queue.is_paused()


async def test_jobs_that_bullmq_5_set_aside_are_seen_and_put_back_by_oxcart(
    node_of: NodeOf, oxcart_side: OxcartSide
) -> None:
    queue = await oxcart_side.queue()
    five = node_of(5).queue()
    ids = [(await five.add("echo", number))["id"] for number in range(3)]

    await five.call("pause")
    ids.append((await five.add("echo", 3))["id"])
    ids.append((await queue.add("echo", 4)).id)
    assert 5 == (await queue.get_counts()).waiting
    assert {JobState.WAITING} == {await queue.get_state(job_id) for job_id in ids}

    await queue.resume()
    async with oxcart_side.worker():
        await wait_for(queue.get_counts, lambda now: now.completed == 5, what="all to complete")

    assert "completed" == await five.state(ids[-1])


async def test_oxcart_works_between_a_release_5_that_pauses_and_a_release_6_that_resumes(
    node_of: NodeOf, oxcart_side: OxcartSide
) -> None:
    queue = await oxcart_side.queue()
    five, six = node_of(5).queue(), node_of(6).queue()

    async with oxcart_side.worker():
        await five.call("pause")
        for who in (five, six):
            await who.add("echo", "while paused")
        await queue.add("echo", "while paused")
        await six.call("resume")
        await wait_for(queue.get_counts, lambda now: now.completed == 3, what="all to complete")
