"""Attempts: retries with backoff, failing for good, steering, retrying what failed."""

from __future__ import annotations

from typing import Any

import pytest
from tests.interop.live.node_side import NodeJob, NodeSide
from tests.interop.live.oxcart_side import OxcartSide
from tests.interop.live.peer import NodeError
from tests.interop.live.waiting import wait_for

from oxcart import Backoff, JobState, exponential, fixed
from oxcart.errors import JobFailed

BACKOFFS: list[tuple[dict[str, Any], Backoff]] = [
    ({"type": "fixed", "delay": 60}, fixed("60ms")),
    ({"type": "exponential", "delay": 40}, exponential("40ms")),
]


@pytest.mark.parametrize(("written", "backoff"), BACKOFFS)
async def test_oxcart_retries_nodes_job_after_its_backoff(
    node: NodeSide, oxcart_side: OxcartSide, written: dict[str, Any], backoff: Backoff
) -> None:
    events = await node.queue().follow()
    added = await node.queue().add("flaky", {"failures": 2}, attempts=3, backoff=written)

    async with oxcart_side.worker():
        result = await node.queue().result(added["id"])

    seen = await node.queue().job(added["id"])
    assert 3 == result == seen["attemptsMade"] == seen["attemptsStarted"]
    assert_retried_after(seen, backoff)
    assert ["added", "waiting", "active", "delayed", "waiting", "active", "delayed", "waiting"] == [
        name for name, _ in events.of(added["id"])[:8]
    ]
    assert ["failure 1", "failure 2"] == [last_line(trace) for trace in seen["stacktrace"]]


@pytest.mark.parametrize(("written", "backoff"), BACKOFFS)
async def test_node_retries_oxcarts_job_after_its_backoff(
    node: NodeSide, oxcart_side: OxcartSide, written: dict[str, Any], backoff: Backoff
) -> None:
    queue = await oxcart_side.queue()
    await node.queue().start_worker()

    job = await queue.add("flaky", {"failures": 2}, attempts=3, backoff=backoff)
    result = await job.result()

    seen = await node.queue().job(job.id)
    job = await job.refresh()
    assert 3 == result == job.attempts_made == job.attempts_started
    assert written == seen["opts"]["backoff"]
    assert_retried_after(seen, backoff)
    assert ["failure 1", "failure 2"] == [
        trace.splitlines()[0].removeprefix("Error: ") for trace in job.stacktrace
    ]


def assert_retried_after(seen: NodeJob, backoff: Backoff) -> None:
    waited = backoff.delay_ms * (3 if backoff.kind == "exponential" else 2)
    assert waited <= seen["finishedOn"] - seen["timestamp"]


def last_line(trace: str) -> str:
    return trace.strip().splitlines()[-1].partition(": ")[2]


async def test_node_sees_how_a_job_failed_that_oxcart_ran(
    node: NodeSide, oxcart_side: OxcartSide
) -> None:
    added = await node.queue().add("flaky", {"failures": 9}, attempts=2)

    async with oxcart_side.worker():
        with pytest.raises(NodeError, match="failure 2"):
            await node.queue().result(added["id"])

    seen = await node.queue().job(added["id"])
    assert ("failed", "failure 2", 2) == (
        await node.queue().state(added["id"]),
        seen["failedReason"],
        seen["attemptsMade"],
    )


async def test_oxcart_sees_how_a_job_failed_that_node_ran(
    node: NodeSide, oxcart_side: OxcartSide
) -> None:
    queue = await oxcart_side.queue()
    await node.queue().start_worker()

    job = await queue.add("flaky", {"failures": 9}, attempts=2)
    with pytest.raises(JobFailed, match="Error: failure 2") as caught:
        await job.result()
    assert "Error" == caught.value.error_type
    assert str(caught.value.traceback).startswith("Error: failure 2\n    at ")

    job = await job.refresh()
    assert (JobState.FAILED, "failure 2", 2) == (
        await job.state(),
        job.failed_reason,
        job.attempts_made,
    )


async def test_oxcart_fails_nodes_job_for_good_whatever_attempts_are_left(
    node: NodeSide, oxcart_side: OxcartSide
) -> None:
    added = await node.queue().add("hopeless", {"reason": "no such user"}, attempts=5)

    async with oxcart_side.worker():
        with pytest.raises(NodeError, match="no such user"):
            await node.queue().result(added["id"])

    seen = await node.queue().job(added["id"])
    assert (1, "no such user") == (seen["attemptsMade"], seen["failedReason"])


async def test_node_fails_oxcarts_job_for_good_whatever_attempts_are_left(
    node: NodeSide, oxcart_side: OxcartSide
) -> None:
    queue = await oxcart_side.queue()
    await node.queue().start_worker()

    job = await queue.add("hopeless", {"reason": "no such user"}, attempts=5)
    with pytest.raises(JobFailed, match="no such user"):
        await job.result()

    assert 1 == (await job.refresh()).attempts_made


@pytest.mark.parametrize("name", ["postpone", "giveBack"])
async def test_job_that_oxcart_runs_later_counts_no_attempt_for_node(
    node: NodeSide, oxcart_side: OxcartSide, name: str
) -> None:
    added = await node.queue().add(name, {"ms": 100})

    async with oxcart_side.worker():
        assert 0 == await node.queue().result(added["id"])

    seen = await node.queue().job(added["id"])
    assert (1, 2) == (seen["attemptsMade"], seen["attemptsStarted"])


@pytest.mark.parametrize("name", ["postpone", "giveBack"])
async def test_job_that_node_runs_later_counts_no_attempt_for_oxcart(
    node: NodeSide, oxcart_side: OxcartSide, name: str
) -> None:
    queue = await oxcart_side.queue()
    await node.queue().start_worker()

    job = await queue.add(name, {"ms": 100})
    assert 0 == await job.result()

    job = await job.refresh()
    assert (1, 2) == (job.attempts_made, job.attempts_started)


async def test_job_that_oxcart_postponed_is_run_by_node_in_the_end(
    node: NodeSide, oxcart_side: OxcartSide
) -> None:
    queue = await oxcart_side.queue()
    job = await queue.add("postpone", {"ms": 300})
    async with oxcart_side.worker(name="oxcart"):
        await wait_for(job.state, lambda now: now == JobState.DELAYED, what="it to be postponed")

    await node.queue().start_worker(name="node")
    await job.result()

    assert "node" == (await job.refresh()).processed_by


async def test_node_retries_what_failed_in_oxcart(node: NodeSide, oxcart_side: OxcartSide) -> None:
    queue = await oxcart_side.queue()
    job = await queue.add("flaky", {"failures": 1})
    async with oxcart_side.worker():
        await wait_for(job.state, lambda now: now == JobState.FAILED, what="it to fail")

    await node.queue().call_job(job.id, "retry", "failed")
    assert "waiting" == await job.state()
    await node.queue().start_worker()

    assert 2 == await job.result()


async def test_oxcart_retries_what_failed_in_node(node: NodeSide, oxcart_side: OxcartSide) -> None:
    queue = await oxcart_side.queue()
    await node.queue().start_worker()
    added = await node.queue().add("flaky", {"failures": 1})
    job = await queue.get_job(added["id"])
    assert job is not None
    with pytest.raises(JobFailed, match="failure 1"):
        await job.result()

    await queue.retry(added["id"])

    # Node's own wait would be answered by the event of the first failure, which it reads late.
    assert 2 == await job.result()


async def test_each_side_retries_all_that_failed(node: NodeSide, oxcart_side: OxcartSide) -> None:
    queue = await oxcart_side.queue()
    for _ in range(10):
        await queue.add("flaky", {"failures": 2})

    async with oxcart_side.worker(concurrency=5):
        await wait_for(queue.get_counts, lambda now: now.failed == 10, what="all to fail")
        await node.queue().call("retryJobs", {"state": "failed"})
        await wait_for(queue.get_counts, lambda now: now.failed == 10, what="all to fail again")
    put_back = await queue.retry_all()
    await node.queue().start_worker(concurrency=5)
    await wait_for(queue.get_counts, lambda now: now.completed == 10, what="all to complete")

    assert 10 == put_back
