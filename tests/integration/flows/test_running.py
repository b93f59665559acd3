"""Flows run by real workers: parents after their children, whatever becomes of these."""

from __future__ import annotations

import asyncio

import pytest
from tests.integration.engine.running import QUICK, is_in, running, until

from oxcart import (
    App,
    Fail,
    FlowNode,
    FlowProducer,
    JobOptions,
    JobState,
    ParentPolicy,
    WaitForChildren,
    current_job,
)
from oxcart.errors import JobFailed


def declare(app: App) -> None:
    """Jobs in two queues: parts that may fail, and what is made of them."""

    @app.job(queue="parts", attempts=1)
    async def part(n: int = 0, reason: str = "") -> int:
        if reason:
            raise Fail(reason)
        return n * n

    @app.job(queue="cars", attempts=1)
    async def assemble() -> dict[str, object]:
        job = current_job()
        return {
            "total": sum(value for value in (await job.children_values()).values() if value),  # type: ignore[misc]  # parts give numbers
            "ignored": sorted((await job.ignored_children_failures()).values()),
        }


def part(n: int = 0, *, reason: str = "", policy: ParentPolicy | None = None) -> FlowNode:
    options = JobOptions(parent_on_failure=policy)
    return FlowNode("part", "parts", data={"n": n, "reason": reason}, options=options)


async def test_parent_runs_after_its_children_and_reads_their_values(
    app: App, flows: FlowProducer
) -> None:
    declare(app)
    added = await flows.add(FlowNode("assemble", "cars", children=[part(n) for n in range(5)]))

    assert await added.job.state() is JobState.WAITING_CHILDREN
    async with running(app.worker(**QUICK)):
        assert {"total": 30, "ignored": []} == await added.job.result()

    found = await added.job.dependencies()
    assert {child.job.id for child in added.children} == {
        key.rpartition(":")[2] for key in found.processed
    }
    assert () == found.unprocessed == found.failed


async def test_levels_run_from_the_leaves_to_the_root(app: App, flows: FlowProducer) -> None:
    order: list[str] = []

    @app.job(queue="steps")
    async def step(name: str) -> str:
        order.append(name)
        return name

    def node(name: str, *children: FlowNode) -> FlowNode:
        return FlowNode("step", "steps", data={"name": name}, children=children)

    added = await flows.add(node("root", node("left", node("leaf")), node("right")))
    async with running(app.worker(**QUICK)):
        await added.job.result()

    assert order[-1] == "root"
    assert order.index("leaf") < order.index("left")
    assert {"root", "left", "leaf", "right"} == set(order)


async def test_failed_child_fails_its_parent_and_the_parents_parent(
    app: App, flows: FlowProducer
) -> None:
    declare(app)
    middle = FlowNode(
        "assemble",
        "cars",
        options=JobOptions(parent_on_failure="fail"),
        children=[part(reason="no steel", policy="fail"), part(2)],
    )
    added = await flows.add(FlowNode("assemble", "cars", children=[middle]))

    async with running(app.worker(**QUICK)):
        with pytest.raises(JobFailed, match=r"child .*:cars:.* failed"):
            await added.job.result()

    failed = await added.children[0].job.refresh()
    assert failed.failed_reason is not None
    assert failed.failed_reason.startswith("child ")


@pytest.mark.parametrize(
    ("policy", "ignored"), [("continue", ["no steel"]), ("ignore", ["no steel"]), ("remove", [])]
)
async def test_parent_goes_on_without_a_failed_child(
    app: App, flows: FlowProducer, policy: ParentPolicy, ignored: list[str]
) -> None:
    declare(app)
    child = part(reason="no steel", policy=policy)
    added = await flows.add(FlowNode("assemble", "cars", children=[child]))

    async with running(app.worker(**QUICK)):
        assert {"total": 0, "ignored": ignored} == await added.job.result()


async def test_parent_waits_for_a_failed_child_until_that_is_retried(
    app: App, flows: FlowProducer
) -> None:
    fixed = asyncio.Event()

    @app.job(queue="parts", attempts=1)
    async def part() -> int:
        if not fixed.is_set():
            raise Fail("no steel")
        return 7

    @app.job(queue="cars")
    async def assemble() -> list[object]:
        return list((await current_job().children_values()).values())

    added = await flows.add(FlowNode("assemble", "cars", children=[FlowNode("part", "parts")]))
    async with running(app.worker(**QUICK)):
        child = await is_in(app.queue("parts"), added.children[0].job, JobState.FAILED)
        assert await added.job.state() is JobState.WAITING_CHILDREN
        fixed.set()
        await child.retry()
        assert [7] == await added.job.result()


async def test_handler_adds_children_and_waits_for_them(app: App) -> None:
    attempts: list[int] = []

    @app.job(queue="parts")
    async def part(n: int) -> int:
        return n * n

    @app.job(queue="cars")
    async def assemble(count: int) -> int:
        job = current_job()
        attempts.append(job.attempt)
        for n in range(count):
            await job.add_child("parts", "part", {"n": n}, job_id=f"part-{n}")
        if (await job.dependencies()).unprocessed:
            raise WaitForChildren
        return sum(value for value in (await job.children_values()).values() if value)  # type: ignore[misc]  # parts give numbers

    async with running(app.worker(**QUICK)):
        assert 14 == await (await assemble.enqueue(count=4)).result()
    assert {1} == set(attempts), "waiting is no attempt"


async def test_plain_function_adds_children_too(app: App) -> None:
    @app.job(queue="parts")
    def part(n: int) -> int:
        return n + 1

    @app.job(queue="cars")
    def assemble() -> list[object]:
        job = current_job().sync
        job.add_child("parts", "part", {"n": 1}, job_id="the-part")
        if job.dependencies().unprocessed:
            raise WaitForChildren
        return list(job.children_values().values())

    async with running(app.worker(**QUICK)):
        assert [2] == await (await assemble.enqueue()).result()


async def test_waiting_without_children_runs_again_at_once(app: App) -> None:
    runs: list[int] = []

    @app.job(queue="cars")
    async def assemble() -> int:
        runs.append(current_job().attempt)
        if len(runs) < 3:
            raise WaitForChildren
        return len(runs)

    async with running(app.worker(**QUICK)):
        assert 3 == await (await assemble.enqueue()).result()
    assert [1, 1, 1] == runs


async def test_completing_with_children_pending_is_a_failed_attempt(app: App) -> None:
    release = asyncio.Event()

    @app.job(queue="parts")
    async def part() -> None:
        await release.wait()

    @app.job(queue="cars", attempts=2, backoff=None)
    async def assemble() -> str:
        await current_job().add_child("parts", "part", job_id="only")
        return "too early"

    async with running(app.worker(**QUICK)):
        job = await assemble.enqueue()
        with pytest.raises(JobFailed, match=r"children that are not settled.*WaitForChildren"):
            await job.result()
        assert 2 == (await job.refresh()).attempts_made
        release.set()


async def test_child_of_a_running_parent_that_fails_it_is_seen_when_it_waits(app: App) -> None:
    @app.job(queue="parts", attempts=1)
    async def part() -> None:
        raise Fail("no steel")

    @app.job(queue="cars")
    async def assemble() -> None:
        job = current_job()
        await job.add_child("parts", "part", job_id="only", parent_on_failure="fail")

        async def has_failed() -> bool:
            return bool((await job.dependencies()).failed)

        await until(has_failed, what="the child to fail")
        raise WaitForChildren

    async with running(app.worker(**QUICK)):
        job = await assemble.enqueue()
        with pytest.raises(JobFailed, match="children that failed"):
            await job.result()


async def test_declared_jobs_make_a_flow(app: App) -> None:
    @app.job(queue="parts")
    async def part(n: int) -> int:
        return n * n

    @app.job(queue="cars")
    async def assemble(name: str) -> list[object]:
        return [name, *sorted((await current_job().children_values()).values())]  # type: ignore[type-var]  # parts give numbers

    added = await app.add_flow(assemble.node("mini").with_children(part.node(n=n) for n in (1, 2)))
    again = await asyncio.to_thread(
        app.add_flow_sync, assemble.node(name="maxi").with_children([part.node(3)])
    )
    async with running(app.worker(**QUICK)):
        assert ["mini", 1, 4] == await added.job.result()
        assert ["maxi", 9] == await asyncio.to_thread(again.job.result)


async def test_parent_that_went_on_removes_the_children_it_no_longer_needs(
    app: App, flows: FlowProducer
) -> None:
    @app.job(queue="parts", attempts=1)
    async def part(reason: str) -> None:
        raise Fail(reason)

    @app.job(queue="cars", attempts=1)
    async def assemble() -> int:
        return await current_job().remove_unprocessed_children()

    later = FlowNode("part", "parts", data={"reason": ""}, options=JobOptions(delay="1h"))
    broken = FlowNode(
        "part",
        "parts",
        data={"reason": "no steel"},
        options=JobOptions(parent_on_failure="continue"),
    )
    added = await flows.add(FlowNode("assemble", "cars", children=[broken, later]))
    async with running(app.worker(**QUICK)):
        assert 1 == await added.job.result()
    assert await added.children[1].job.state() is JobState.UNKNOWN
