"""Schedulers made by one side, run, changed and removed by the other."""

from __future__ import annotations

from typing import Any

import pytest
from tests.interop.live.both import KINDS, Both, Kind
from tests.interop.live.conftest import NodeOf
from tests.interop.live.node_side import NodeSide
from tests.interop.live.oxcart_side import OxcartSide
from tests.interop.live.waiting import wait_for

from oxcart import JobCounts, JobState, Queue, Schedule, exponential

DAY_MS = 86_400_000
PATTERNS = [
    "0 30 9 * * MON-FRI",
    "15 2 * * *",
    "0 0 */6 1,15 * *",
    "*/10 * 8-18 * 2 *",
    "0 0 0 L * *",
    "30 30 2 * 3 0",
]


async def upsert(
    both: Both, kind: Kind, scheduler_id: str, *, every_ms: int, data: Any, limit: int | None = None
) -> None:
    """Make or change a scheduler of ``echo`` jobs on either side."""
    if kind == "node":
        repeat = {"every": every_ms, **({} if limit is None else {"limit": limit})}
        template = {"name": "echo", "data": data}
        await both.node.queue().call("upsertJobScheduler", scheduler_id, repeat, template)
    else:
        queue = await both.oxcart.queue()
        schedule = Schedule.every(f"{every_ms}ms", limit=limit)
        await queue.upsert_scheduler(scheduler_id, schedule, "echo", data)


async def completed(queue: Queue, count: int) -> list[Any]:
    """Wait for so many completed jobs; gives them, oldest first."""
    await wait_for(queue.get_counts, lambda now: now.completed >= count, what=f"{count} jobs")
    return await queue.get_jobs(JobState.COMPLETED, end=-1, ascending=True)


@pytest.mark.parametrize("runner", KINDS)
@pytest.mark.parametrize("maker", KINDS)
async def test_scheduler_of_one_side_is_run_to_its_limit_by_the_other(
    node: NodeSide, oxcart_side: OxcartSide, maker: Kind, runner: Kind
) -> None:
    queue = await oxcart_side.queue()
    both = Both(node, oxcart_side)
    await upsert(both, maker, "tick", every_ms=100, data={"by": maker}, limit=4)

    async with both.worker(runner):
        jobs = await completed(queue, 4)

    assert JobCounts(completed=4) == await queue.get_counts()
    assert [{"by": maker}] * 4 == [job.return_value for job in jobs]
    due = [int(job.id.rpartition(":")[2]) for job in jobs]
    assert {0} == {(at - due[0]) % 100 for at in due}
    assert sorted(set(due)) == due
    assert {"tick"} == {job.scheduler_id for job in jobs}
    theirs = await node.queue().job(jobs[-1].id)
    assert "tick" == theirs["repeatJobKey"]
    assert 4 == theirs["opts"]["repeat"]["count"]


@pytest.mark.parametrize("maker", KINDS)
async def test_jobs_of_a_scheduler_go_from_one_side_to_the_other_and_back(
    node: NodeSide, oxcart_side: OxcartSide, maker: Kind
) -> None:
    queue = await oxcart_side.queue()
    both = Both(node, oxcart_side)
    await upsert(both, maker, "tick", every_ms=60, data={"n": 1})

    for turn, kind in enumerate((*KINDS, *KINDS), start=1):
        async with both.worker(kind):
            await completed(queue, 2 * turn)

    jobs = await queue.get_jobs(JobState.COMPLETED, end=-1)
    assert {"node", "oxcart"} == {str(job.processed_by).rstrip("0123456789") for job in jobs}
    assert 1 == await queue.count_schedulers()
    assert 1 == (await queue.get_counts()).pending


@pytest.mark.parametrize("runner", KINDS)
@pytest.mark.parametrize("maker", KINDS)
async def test_cron_scheduler_of_one_side_is_run_by_the_other(
    node: NodeSide, oxcart_side: OxcartSide, maker: Kind, runner: Kind
) -> None:
    queue = await oxcart_side.queue()
    if maker == "node":
        repeat = {"pattern": "* * * * * *", "limit": 2}
        await node.queue().call("upsertJobScheduler", "tick", repeat, {"name": "echo"})
    else:
        schedule = Schedule.cron("* * * * * *", limit=2)
        await queue.upsert_scheduler("tick", schedule, "echo")

    async with Both(node, oxcart_side).worker(runner):
        jobs = await completed(queue, 2)

    due = [int(job.id.rpartition(":")[2]) for job in jobs]
    assert [0, 0] == [at % 1_000 for at in due]
    assert due[0] < due[1]
    assert JobCounts(completed=2) == await queue.get_counts()


@pytest.mark.parametrize("pattern", PATTERNS)
async def test_both_sides_name_the_same_next_time_of_a_pattern(
    node: NodeSide, oxcart_side: OxcartSide, pattern: str
) -> None:
    queue = await oxcart_side.queue()
    repeat = {"pattern": pattern, "tz": "Europe/Madrid"}
    template = {"name": "echo", "data": {"a": 1}, "opts": {"attempts": 3, "priority": 5}}

    await node.queue().call("upsertJobScheduler", "by-node", repeat, template)
    await queue.upsert_scheduler(
        "by-oxcart",
        Schedule.cron(pattern, tz="Europe/Madrid"),
        "echo",
        {"a": 1},
        attempts=3,
        priority=5,
    )

    ours = {info.id: info for info in await queue.get_schedulers()}
    theirs = {info["key"]: info for info in await node.queue().call("getJobSchedulers", 0, -1)}
    assert ours["by-node"].next_at_ms == ours["by-oxcart"].next_at_ms
    for key in ("by-node", "by-oxcart"):
        info, seen = ours[key], theirs[key]
        assert seen["next"] == info.next_at_ms
        assert (pattern, "Europe/Madrid") == (seen["pattern"], seen["tz"])
        assert info.schedule == Schedule.cron(pattern, tz="Europe/Madrid")
        assert {"a": 1} == seen["template"]["data"] == info.data
        assert (3, 5) == (info.options.attempts, info.options.priority)
        assert (3, 5) == (
            seen["template"]["opts"]["attempts"],
            seen["template"]["opts"]["priority"],
        )
    pending = await queue.get_jobs(JobState.DELAYED)
    assert {5} == {job.priority for job in pending}


@pytest.mark.parametrize("changer", KINDS)
async def test_scheduler_of_one_side_is_changed_by_the_other(
    node: NodeSide, oxcart_side: OxcartSide, changer: Kind
) -> None:
    queue = await oxcart_side.queue()
    both = Both(node, oxcart_side)
    maker: Kind = "oxcart" if changer == "node" else "node"
    await upsert(both, maker, "tick", every_ms=DAY_MS, data={"version": 1})
    async with both.worker(maker):
        await completed(queue, 1)

    await upsert(both, changer, "tick", every_ms=100, data={"version": 2}, limit=9)

    info = await queue.get_scheduler("tick")
    theirs = await node.queue().call("getJobScheduler", "tick")
    assert info is not None
    assert 1 == await queue.count_schedulers()
    assert 1 == await node.queue().call("getJobSchedulersCount")
    assert {"version": 2} == info.data == theirs["template"]["data"]
    assert (100, info.next_at_ms) == (theirs["every"], theirs["next"])
    assert 1 == (await queue.get_counts()).pending
    async with both.worker(maker):
        jobs = await completed(queue, 3)
    assert [{"version": 1}, {"version": 2}, {"version": 2}] == [
        job.return_value for job in jobs[:3]
    ]


@pytest.mark.parametrize("remover", KINDS)
async def test_scheduler_of_one_side_is_removed_by_the_other(
    node: NodeSide, oxcart_side: OxcartSide, remover: Kind
) -> None:
    queue = await oxcart_side.queue()
    both = Both(node, oxcart_side)
    maker: Kind = "oxcart" if remover == "node" else "node"
    await upsert(both, maker, "tick", every_ms=DAY_MS, data={})
    async with both.worker(maker):
        await completed(queue, 1)
    assert 1 == (await queue.get_counts()).delayed

    if remover == "node":
        assert await node.queue().call("removeJobScheduler", "tick")
    else:
        assert await queue.remove_scheduler("tick")

    assert JobCounts(completed=1) == await queue.get_counts()
    assert await queue.get_scheduler("tick") is None
    assert 0 == await node.queue().call("getJobSchedulersCount")
    assert not await queue.remove_scheduler("tick")


@pytest.mark.parametrize("maker", KINDS)
async def test_job_of_a_scheduler_that_fails_holds_up_nothing_on_the_other_side(
    node: NodeSide, oxcart_side: OxcartSide, maker: Kind
) -> None:
    queue = await oxcart_side.queue()
    runner: Kind = "oxcart" if maker == "node" else "node"
    if maker == "node":
        options = {"attempts": 2, "backoff": {"type": "exponential", "delay": 50}}
        template = {"name": "flaky", "data": {"failures": 9}, "opts": options}
        await node.queue().call("upsertJobScheduler", "tick", {"every": 80, "limit": 3}, template)
    else:
        await queue.upsert_scheduler(
            "tick",
            Schedule.every("80ms", limit=3),
            "flaky",
            {"failures": 9},
            attempts=2,
            backoff=exponential("50ms"),
        )

    async with Both(node, oxcart_side).worker(runner):
        await wait_for(queue.get_counts, lambda now: now.failed == 3, what="all to fail")

    assert JobCounts(failed=3) == await queue.get_counts()
    assert {2} == {job.attempts_made for job in await queue.get_jobs(JobState.FAILED)}


async def test_repeatable_job_of_bullmq_5_keeps_its_payload_when_oxcart_runs_it(
    node_of: NodeOf, oxcart_side: OxcartSide
) -> None:
    queue = await oxcart_side.queue()
    await node_of(5).queue().add("echo", {"kept": True}, repeat={"every": 100, "limit": 3})

    async with oxcart_side.worker():
        jobs = await completed(queue, 3)

    assert [{"kept": True}] * 3 == [job.return_value for job in jobs]
