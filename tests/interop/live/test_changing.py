"""Changing what the other side added: delay, priority, all at once; cancelling, obliterating."""

from __future__ import annotations

import pytest
from tests.interop.live.both import KINDS, Both, Kind
from tests.interop.live.node_side import NodeSide
from tests.interop.live.oxcart_side import OxcartSide
from tests.interop.live.waiting import wait_for

from oxcart import JobCounts, JobState
from oxcart.errors import JobFailed, JobNotInState, QueueBusy


async def test_each_side_changes_the_delay_of_the_others_job(
    node: NodeSide, oxcart_side: OxcartSide
) -> None:
    queue = await oxcart_side.queue()
    by_node = await node.queue().add("echo", "by node", delay=3_600_000)
    by_oxcart = await queue.add("echo", "by oxcart", delay="1h")

    await queue.change_delay(by_node["id"], "200ms")
    await node.queue().call_job(by_oxcart.id, "changeDelay", 200)
    assert 200 == (await node.queue().job(by_node["id"]))["delay"]
    assert 200 == (await by_oxcart.refresh()).delay_ms

    async with oxcart_side.worker():
        assert "by node" == await node.queue().result(by_node["id"])
        assert "by oxcart" == await by_oxcart.result()
    with pytest.raises(JobNotInState):
        await queue.change_delay(by_node["id"], "1s")


@pytest.mark.parametrize("runner", KINDS)
async def test_each_side_changes_the_priority_of_the_others_job(
    node: NodeSide, oxcart_side: OxcartSide, runner: Kind
) -> None:
    queue = await oxcart_side.queue()
    events = await node.queue().follow()
    ids = [(await node.queue().add("echo", priority=9))["id"] for _ in range(3)]
    ids += [(await queue.add("echo", priority=9)).id for _ in range(3)]

    await queue.change_priority(ids[0], 20)
    await queue.change_priority(ids[2], 0)
    await node.queue().call_job(ids[4], "changePriority", {"priority": 5})
    await node.queue().call_job(ids[5], "changePriority", {"priority": 9, "lifo": True})
    assert 20 == (await node.queue().job(ids[0]))["priority"]
    jobs = await queue.get_jobs(JobState.PRIORITIZED, ascending=True)
    assert {ids[4]: 5, ids[5]: 9, ids[1]: 9, ids[3]: 9, ids[0]: 20} == {
        job.id: job.priority for job in jobs
    }

    async with Both(node, oxcart_side).worker(runner):
        await wait_for(queue.get_counts, lambda now: now.completed == 6, what="all to run")
        await events.wait_for("completed", job_id=ids[0])
    wanted = [ids[2], ids[4], ids[5], ids[1], ids[3], ids[0]]
    assert wanted == [told["jobId"] for told in events.named("active")]


@pytest.mark.parametrize("promoter", KINDS)
async def test_all_delayed_jobs_are_promoted_by_either_side(
    node: NodeSide, oxcart_side: OxcartSide, promoter: Kind
) -> None:
    queue = await oxcart_side.queue()
    for number in range(5):
        await node.queue().add("echo", number, delay=3_600_000)
        await queue.add("echo", number, delay="1h")

    if promoter == "node":
        await node.queue().call("promoteJobs")
    else:
        assert 10 == await queue.promote_all()

    assert JobCounts(waiting=10) == await queue.get_counts()
    async with Both(node, oxcart_side).worker(promoter):
        await wait_for(queue.get_counts, lambda now: now.completed == 10, what="all to run")


async def test_job_that_oxcart_cancelled_is_failed_unrun_by_node(
    node: NodeSide, oxcart_side: OxcartSide
) -> None:
    queue = await oxcart_side.queue()
    job = await queue.add("echo", attempts=3)
    assert not await job.cancel("no longer wanted")

    await node.queue().start_worker()
    with pytest.raises(JobFailed, match="no longer wanted"):
        await job.result()

    assert "failed" == await node.queue().state(job.id)


@pytest.mark.parametrize("remover", KINDS)
async def test_queue_of_both_sides_is_obliterated_by_either(
    node: NodeSide, oxcart_side: OxcartSide, remover: Kind
) -> None:
    queue = await oxcart_side.queue()
    async with oxcart_side.worker():
        await (await queue.add("echo")).result()
    await node.queue().add("echo", priority=3)
    await node.queue().add("echo", delay=3_600_000)
    await queue.add("echo")

    if remover == "node":
        await node.queue().call("obliterate")
    else:
        await queue.obliterate()

    assert JobCounts() == await queue.get_counts()
    assert 0 == await node.queue().call("count")
    added = await node.queue().add("echo")
    assert "1" == added["id"]


async def test_oxcart_refuses_to_obliterate_what_node_is_running(
    node: NodeSide, oxcart_side: OxcartSide
) -> None:
    queue = await oxcart_side.queue()
    await node.queue().start_worker()
    job = await queue.add("hold")
    await wait_for(job.state, lambda now: now == JobState.ACTIVE, what="Node to take it")

    with pytest.raises(QueueBusy):
        await queue.obliterate()

    await node.queue().release(job.id)
    assert "released" == await job.result()
