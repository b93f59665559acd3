"""What both sides say about the same queue: counts, states, pages, a job's fields."""

from __future__ import annotations

from typing import Any

from tests.interop.live.node_side import NodeJob, NodeSide
from tests.interop.live.oxcart_side import OxcartSide
from tests.interop.live.waiting import wait_for

from oxcart import Job, JobContext, JobState, Queue, Retry, fixed

STATES = [state for state in JobState if state != JobState.UNKNOWN]
WIRE_STATES = [str(state) for state in STATES]


async def fill(node: NodeSide, queue: Queue, oxcart_side: OxcartSide) -> None:
    """Jobs of both sides in every state that a single worker can bring about."""

    async def handle(job: JobContext) -> object:
        if job.name == "later":
            raise Retry("not now", after="1h")
        if job.name == "bad":
            raise ValueError(job.data)
        return job.data

    async with oxcart_side.worker(handler=handle):
        for number in range(3):
            await node.queue().add("good", {"number": number})
            await queue.add("good", {"number": number})
            await node.queue().add("bad", "by node", attempts=1)
            await queue.add("bad", "by oxcart")
        await queue.add("later", attempts=3, backoff=fixed("1s"))
        await node.queue().add("later", attempts=3)
        await wait_for(queue.get_counts, lambda now: now.delayed == 2, what="all to be run")
    for number in range(3):
        await queue.add("echo", number)
        await node.queue().add("echo", number)
        await queue.add("echo", number, priority=number + 1)
        await node.queue().add("echo", number, priority=number + 1)
        await queue.add("echo", number, delay="1h")
        await node.queue().add("echo", number, delay=3_600_000)


async def test_both_sides_count_the_same(node: NodeSide, oxcart_side: OxcartSide) -> None:
    queue = await oxcart_side.queue()
    await fill(node, queue, oxcart_side)

    ours = await queue.get_counts()
    theirs = await node.queue().call("getJobCounts", *WIRE_STATES)
    set_aside = theirs.pop("paused", 0)  # release 5 counts it beside what is waiting

    assert 0 == set_aside
    assert theirs == {state: getattr(ours, state.name.lower()) for state in STATES}
    assert {"waiting": 6, "prioritized": 6, "delayed": 8, "completed": 6, "failed": 6} == {
        state: count for state, count in theirs.items() if count
    }
    assert ours.pending == await node.queue().call("count")
    per_priority = await queue.get_counts_per_priority([0, 1, 2, 3])
    wanted = await node.queue().call("getCountsPerPriority", [0, 1, 2, 3])
    assert wanted == {str(priority): count for priority, count in per_priority.items()}


async def test_both_sides_give_the_same_pages_and_states(
    node: NodeSide, oxcart_side: OxcartSide
) -> None:
    queue = await oxcart_side.queue()
    await fill(node, queue, oxcart_side)

    for state in STATES:
        for start, end, ascending in [(0, -1, True), (0, -1, False), (1, 3, True), (2, 4, False)]:
            jobs = await queue.get_jobs(state, start=start, end=end, ascending=ascending)
            page = await node.queue().call("getJobs", [state], start, end, ascending)
            assert [job["id"] for job in page] == [job.id for job in jobs]
            assert [state] * len(jobs) == [await node.queue().state(job.id) for job in jobs]
            assert [state] * len(jobs) == [await job.state() for job in jobs]


async def test_both_sides_read_the_same_fields(node: NodeSide, oxcart_side: OxcartSide) -> None:
    queue = await oxcart_side.queue()
    await fill(node, queue, oxcart_side)

    for state in STATES:
        for job in await queue.get_jobs(state, end=-1):
            assert fields_of(await node.queue().job(job.id)) == fields_as_node_has_them(job)


def fields_of(job: NodeJob) -> dict[str, Any]:
    shown = {name: job.get(name) for name in fields_as_node_has_them(None)}
    shown["stacktrace"] = shown["stacktrace"] or []
    return shown


def fields_as_node_has_them(job: Job[Any] | None) -> dict[str, Any]:
    names = {
        "id": "id",
        "name": "name",
        "data": "data",
        "progress": "progress",
        "returnvalue": "return_value",
        "failedReason": "failed_reason",
        "attemptsMade": "attempts_made",
        "attemptsStarted": "attempts_started",
        "stalledCounter": "stalled_count",
        "delay": "delay_ms",
        "priority": "priority",
        "timestamp": "created_at_ms",
        "processedOn": "processed_at_ms",
        "finishedOn": "finished_at_ms",
        "processedBy": "processed_by",
        "stacktrace": "stacktrace",
    }
    values = {theirs: getattr(job, ours, None) for theirs, ours in names.items()}
    values["stacktrace"] = list(values["stacktrace"] or [])
    return values


async def test_both_sides_agree_on_an_id_that_is_not_there(
    node: NodeSide, oxcart_side: OxcartSide
) -> None:
    queue = await oxcart_side.queue()

    assert "unknown" == await node.queue().call("getJobState", "7") == await queue.get_state("7")
    assert await queue.get_job("7") is None
    assert await node.queue().call("getJob", "7") is None
