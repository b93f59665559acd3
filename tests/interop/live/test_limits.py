"""Rate limits and concurrency of a queue, set by one side and held by both."""

from __future__ import annotations

from typing import Any

import pytest
from tests.interop.live.both import KINDS, Both, Kind
from tests.interop.live.node_side import NodeSide
from tests.interop.live.oxcart_side import OxcartSide
from tests.interop.live.waiting import wait_for

from oxcart import JobCounts, JobState, Queue, RateLimit

HOUR_MS = 3_600_000


async def settle(queue: Queue, *, completed: int) -> None:
    """Wait until so many jobs are done and none runs."""
    await wait_for(
        queue.get_counts,
        lambda now: (now.completed, now.active) == (completed, 0),
        what=f"{completed} jobs to complete",
    )


@pytest.mark.parametrize("setter", KINDS)
async def test_rate_limit_of_the_queue_is_held_by_the_whole_fleet(
    node: NodeSide, oxcart_side: OxcartSide, setter: Kind
) -> None:
    queue = await oxcart_side.queue()
    if setter == "node":
        await node.queue().call("setGlobalRateLimit", 3, HOUR_MS)
    else:
        await queue.set_rate_limit(RateLimit(max=3, per="1h"))
    assert {"max": 3, "duration": HOUR_MS} == await node.queue().call("getGlobalRateLimit")
    assert RateLimit(max=3, per=f"{HOUR_MS}ms") == await queue.get_rate_limit()

    await node.queue().start_worker(concurrency=5)
    async with oxcart_side.worker(concurrency=5):
        await node.queue().call("addBulk", [{"name": "echo", "data": {}}] * 10)
        await settle(queue, completed=3)
        assert 0 < await queue.get_rate_limit_ttl()
        assert 0 < await node.queue().call("getRateLimitTtl")
        assert 7 == (await queue.get_counts()).waiting

    # Whoever has learned of the hour waits for half a minute: this worker is a new one.
    await queue.remove_rate_limit()
    async with Both(node, oxcart_side).worker(setter):
        await settle(queue, completed=6)
    assert 4 == (await queue.get_counts()).waiting


@pytest.mark.parametrize("lifter", KINDS)
async def test_rate_limit_that_one_side_set_is_lifted_by_the_other(
    node: NodeSide, oxcart_side: OxcartSide, lifter: Kind
) -> None:
    queue = await oxcart_side.queue()
    if lifter == "node":
        await queue.set_rate_limit(RateLimit(max=3, per="1h"))
        await node.queue().call("removeGlobalRateLimit")
    else:
        await node.queue().call("setGlobalRateLimit", 3, HOUR_MS)
        await queue.set_rate_limit(None)

    assert await queue.get_rate_limit() is None
    assert await node.queue().call("getGlobalRateLimit") is None
    async with Both(node, oxcart_side).worker(lifter):
        await node.queue().call("addBulk", [{"name": "echo", "data": {}}] * 10)
        await settle(queue, completed=10)


async def test_workers_of_both_kinds_count_in_one_window(
    node: NodeSide, oxcart_side: OxcartSide
) -> None:
    queue = await oxcart_side.queue()
    await node.queue().call("addBulk", [{"name": "echo", "data": {}}] * 10)

    limiter = RateLimit(max=4, per="1h")
    async with oxcart_side.worker(limiter=limiter):
        await settle(queue, completed=4)
    worker = await node.queue().start_worker(limiter={"max": 6, "duration": HOUR_MS})
    await settle(queue, completed=6)
    await worker.close()

    async with oxcart_side.worker(limiter=limiter):
        assert 0 < await queue.get_rate_limit_ttl(max=4)
    assert JobCounts(completed=6, waiting=4) == await queue.get_counts()


@pytest.mark.parametrize("runner", KINDS)
async def test_job_that_met_a_rate_limit_is_run_again_uncounted(
    node: NodeSide, oxcart_side: OxcartSide, runner: Kind
) -> None:
    queue = await oxcart_side.queue()
    options: dict[str, Any] = {"limiter": {"max": 100, "duration": 1_000}}
    if runner == "node":
        await node.queue().start_worker(**options)
        job = await queue.add("limited", {"ms": 300})
        assert 0 == await job.result()
    else:
        added = await node.queue().add("limited", {"ms": 300})
        async with oxcart_side.worker():
            assert 0 == await node.queue().result(added["id"])

    [job] = await queue.get_jobs(JobState.COMPLETED)
    assert (1, 2) == (job.attempts_made, job.attempts_started)


@pytest.mark.parametrize("limiter", KINDS)
async def test_pause_of_a_rate_limit_is_seen_and_ended_by_the_other(
    node: NodeSide, oxcart_side: OxcartSide, limiter: Kind
) -> None:
    queue = await oxcart_side.queue()
    await queue.set_rate_limit(RateLimit(max=100, per="1s"))

    if limiter == "node":
        await node.queue().call("rateLimit", HOUR_MS)
    else:
        await queue.rate_limit("1h")
    assert 1_000 < await queue.get_rate_limit_ttl() <= HOUR_MS
    assert 1_000 < await node.queue().call("getRateLimitTtl") <= HOUR_MS
    if limiter == "node":
        assert await queue.remove_rate_limit()
    else:
        assert 1 == await node.queue().call("removeRateLimitKey")

    async with Both(node, oxcart_side).worker(limiter):
        job = await queue.add("echo", "after it")
        assert "after it" == await job.result()


@pytest.mark.parametrize("setter", KINDS)
async def test_concurrency_of_the_queue_is_held_by_the_whole_fleet(
    node: NodeSide, oxcart_side: OxcartSide, setter: Kind
) -> None:
    queue = await oxcart_side.queue()
    if setter == "node":
        await node.queue().call("setGlobalConcurrency", 3)
    else:
        await queue.set_concurrency(3)
    assert 3 == await queue.get_concurrency()
    assert 3 == await node.queue().call("getGlobalConcurrency")

    async with oxcart_side.follow() as seen, oxcart_side.worker(concurrency=5, name="oxcart"):
        await node.queue().start_worker(concurrency=5, name="node")
        await node.queue().call("addBulk", [{"name": "who", "data": {"ms": 20}}] * 40)
        await settle(queue, completed=40)

    steps = {"active": 1, "completed": -1}
    running, most = 0, 0
    for event in seen:
        running += steps.get(event.name, 0)
        most = max(most, running)
    assert 3 == most


@pytest.mark.parametrize("lifter", KINDS)
async def test_concurrency_that_one_side_set_is_lifted_by_the_other(
    node: NodeSide, oxcart_side: OxcartSide, lifter: Kind
) -> None:
    queue = await oxcart_side.queue()
    if lifter == "node":
        await queue.set_concurrency(1)
        await node.queue().call("removeGlobalConcurrency")
    else:
        await node.queue().call("setGlobalConcurrency", 1)
        await queue.set_concurrency(None)

    assert await queue.get_concurrency() is None
    assert await node.queue().call("getGlobalConcurrency") is None


async def test_both_sides_say_that_a_queue_is_full(node: NodeSide, oxcart_side: OxcartSide) -> None:
    queue = await oxcart_side.queue()
    await queue.set_concurrency(1)
    assert [False, False] == [await queue.is_maxed(), await node.queue().call("isMaxed")]

    await node.queue().start_worker()
    job = await queue.add("hold")
    await wait_for(job.state, lambda now: now == JobState.ACTIVE, what="Node to take it")

    assert [True, True] == [await queue.is_maxed(), await node.queue().call("isMaxed")]
    await node.queue().release(job.id)
    await job.result()
