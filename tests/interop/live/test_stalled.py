"""A worker of one side dies; a worker of the other runs what it held."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.interop.live.node_side import NodeSide
from tests.interop.live.oxcart_side import OxcartSide, wait_for_event
from tests.interop.live.waiting import wait_for

from oxcart import JobState

NODE_QUICK: dict[str, Any] = {"lockDuration": 1_000, "stalledInterval": 300}
OXCART_QUICK: dict[str, Any] = {"lock": "1s", "stalled_interval": "300ms"}


async def test_oxcart_runs_what_a_killed_node_worker_held(
    start_node: Callable[[int], NodeSide], major: int, oxcart_side: OxcartSide
) -> None:
    doomed = start_node(major)
    queue = await oxcart_side.queue()
    await doomed.queue().start_worker(**NODE_QUICK)
    job = await queue.add("hold", {"by": "node"})
    await wait_for(job.state, lambda now: now == JobState.ACTIVE, what="Node to take it")

    doomed.peer.kill()
    async with (
        oxcart_side.worker(handler=lambda job: job.data, **OXCART_QUICK),
        oxcart_side.follow() as seen,
    ):
        assert {"by": "node"} == await job.result()
        await wait_for_event(seen, "stalled", job_id=job.id)

    job = await job.refresh()
    assert (1, 2, 1) == (job.attempts_made, job.attempts_started, job.stalled_count)


async def test_node_runs_what_a_killed_oxcart_worker_held(
    node: NodeSide, oxcart_side: OxcartSide
) -> None:
    queue = await oxcart_side.queue()
    doomed = oxcart_side.start_process(**OXCART_QUICK)
    job = await queue.add("hold")
    await wait_for(job.state, lambda now: now == JobState.ACTIVE, what="oxcart to take it")

    doomed.kill()
    events = await node.queue().follow()
    await node.queue().start_worker(**NODE_QUICK)
    await events.wait_for("stalled", job_id=job.id)
    await node.queue().release(job.id)

    assert "released" == await job.result()
    seen = await node.queue().job(job.id)
    assert (1, 2, 1) == (seen["attemptsMade"], seen["attemptsStarted"], seen["stalledCounter"])


async def test_job_that_stalls_too_often_is_failed_by_the_other_side(
    start_node: Callable[[int], NodeSide], major: int, oxcart_side: OxcartSide
) -> None:
    queue = await oxcart_side.queue()
    doomed = start_node(major)
    await doomed.queue().start_worker(**NODE_QUICK)
    job = await queue.add("hold", attempts=5)
    await wait_for(job.state, lambda now: now == JobState.ACTIVE, what="Node to take it")

    doomed.peer.kill()
    async with oxcart_side.worker(max_stalled=0, **OXCART_QUICK):
        await wait_for(job.state, lambda now: now == JobState.FAILED, what="it to fail")

    assert "job stalled more than allowable limit" == (await job.refresh()).failed_reason


async def test_job_that_stalled_too_often_for_oxcart_is_failed_by_node(
    node: NodeSide, oxcart_side: OxcartSide
) -> None:
    queue = await oxcart_side.queue()
    doomed = oxcart_side.start_process(**OXCART_QUICK)
    job = await queue.add("hold", attempts=5)
    await wait_for(job.state, lambda now: now == JobState.ACTIVE, what="oxcart to take it")

    doomed.kill()
    await node.queue().start_worker(maxStalledCount=0, **NODE_QUICK)
    await wait_for(job.state, lambda now: now == JobState.FAILED, what="it to fail")

    assert "job stalled more than allowable limit" == (await job.refresh()).failed_reason
