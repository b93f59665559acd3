"""What Bull Board shows of flows that oxcart added, and does to them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from playwright.async_api import expect
from tests.browser.board import QUEUE, Board
from tests.browser.chromium import Screen
from tests.browser.depot import REASON, Depot
from tests.integration.engine.running import is_in

from oxcart import Flow, FlowJob, FlowNode, FlowProducer, JobOptions, JobState, Queue


@pytest.fixture
async def flows(valkey_url: str, prefix: str) -> AsyncIterator[FlowProducer]:
    """Who adds the flows."""
    async with FlowProducer(redis_url=valkey_url, prefix=prefix) as opened:
        yield opened


async def add_shipment(flows: FlowProducer, *children: str, **options: Any) -> FlowJob:
    """Add a parent that waits for children of these names."""
    nodes = [
        FlowNode(name, QUEUE, data={"number": number}, options=JobOptions(**options))
        for number, name in enumerate(children)
    ]
    return await flows.add(Flow(FlowNode("ship", QUEUE, data={"to": "Ada"}, children=nodes)))


def ids_of(nodes: list[Any]) -> set[str]:
    """The ids of the jobs that stand beside each other in a tree."""
    return {node["id"] for node in nodes}


async def test_parent_is_on_the_tab_of_those_that_wait_for_children(
    board: Board, flows: FlowProducer, queue: Queue
) -> None:
    flow = await add_shipment(flows, "deliver", "deliver")

    (shown,) = await board.listed("waiting-children")

    assert (flow.job.id, "ship", {"to": "Ada"}) == (shown["id"], shown["name"], shown["data"])
    counts = (await board.shown())["counts"]
    assert (1, 2) == (counts["waiting-children"], counts["waiting"])
    assert 1 == (await queue.get_counts()).waiting_children
    assert "waiting-children" == (await board.job(flow.job.id))["status"]


async def test_tree_is_shown_from_its_root_wherever_one_stands(
    board: Board, flows: FlowProducer
) -> None:
    flow = await add_shipment(flows, "deliver", "lose")
    children = {child.job.id for child in flow.children}

    for job_id in (flow.job.id, *children):
        shown = await board.get(f"{job_id}/flow")

        assert shown["isFlowNode"]
        assert (flow.job.id, "waiting-children") == (
            shown["flowRoot"]["id"],
            shown["flowRoot"]["state"],
        )
        assert children == ids_of(shown["flowRoot"]["children"])
        assert {"waiting"} == {child["state"] for child in shown["flowRoot"]["children"]}


async def test_flow_that_is_run_is_shown_with_what_became_of_each_job(
    board: Board, flows: FlowProducer, depot: Depot, queue: Queue
) -> None:
    flow = await add_shipment(flows, "deliver", "lose", parent_on_failure="ignore")
    async with depot.open():
        await is_in(queue, flow.job, JobState.COMPLETED)

    tree = (await board.get(f"{flow.job.id}/flow"))["flowRoot"]

    assert "completed" == tree["state"]
    assert {"deliver": "completed", "lose": "failed"} == {
        child["name"]: child["state"] for child in tree["children"]
    }


async def test_parent_that_failed_with_its_child_is_shown_with_the_reason(
    board: Board, flows: FlowProducer, depot: Depot, queue: Queue
) -> None:
    flow = await add_shipment(flows, "lose", parent_on_failure="fail")
    async with depot.open():
        await is_in(queue, flow.job, JobState.FAILED)

    child = flow.children[0].job
    assert REASON == (await board.job(child.id))["failedReason"]
    parent = await board.job(flow.job.id)
    assert "failed" == parent["status"]
    assert child.id in parent["failedReason"]


async def test_child_that_is_retried_on_the_board_is_run_and_frees_its_parent(
    board: Board, flows: FlowProducer, depot: Depot, queue: Queue
) -> None:
    flow = await add_shipment(flows, "deliver", "lose")
    deliver, lose = (child.job for child in flow.children)
    async with depot.open():
        await is_in(queue, deliver, JobState.COMPLETED)
        await is_in(queue, lose, JobState.FAILED)
        assert await flow.job.state() is JobState.WAITING_CHILDREN
        depot.is_mended = True

        await board.act_on(lose.id, "retry")

        await is_in(queue, flow.job, JobState.COMPLETED)
    assert {"to": "Ada"} == depot.delivered[-1]


async def test_parent_whose_children_are_removed_on_the_board_is_run(
    board: Board, flows: FlowProducer, depot: Depot, queue: Queue
) -> None:
    flow = await add_shipment(flows, "deliver", "deliver")

    await board.act_on(flow.job.id, "remove-unprocessed-children")

    for child in flow.children:
        assert await queue.get_job(child.job.id) is None
    async with depot.open():
        await is_in(queue, flow.job, JobState.COMPLETED)
    assert [{"to": "Ada"}] == depot.delivered


async def test_parent_that_is_removed_on_the_board_takes_its_children_with_it(
    board: Board, flows: FlowProducer, queue: Queue
) -> None:
    flow = await add_shipment(flows, "deliver", "deliver")

    await board.act_on(flow.job.id, "clean")

    counts = await queue.get_counts()
    assert (0, 0) == (counts.waiting_children, counts.waiting)


async def test_flow_over_two_queues_is_drawn_as_a_tree(screen: Screen, flows: FlowProducer) -> None:
    flow = await flows.add(
        Flow(
            FlowNode(
                "ship",
                QUEUE,
                children=[
                    FlowNode("write", "letters"),
                    FlowNode("pack", QUEUE, children=[FlowNode("fold", QUEUE)]),
                ],
            )
        )
    )
    page = screen.page
    await page.goto(f"board/queue/{QUEUE}?status=waiting-children")
    await expect(page.get_by_role("main").get_by_role("heading", name="ship")).to_be_visible()

    await page.get_by_role("link", name=flow.job.id).click()

    graph = page.get_by_role("application")
    for drawn in (
        f"ship, waiting-children, queue {QUEUE}",
        "write, waiting, queue letters",
        f"pack, waiting-children, queue {QUEUE}",
        f"fold, waiting, queue {QUEUE}",
    ):
        await expect(graph.get_by_role("group", name=drawn)).to_be_visible()
    await expect(graph.get_by_role("group", name="Edge from")).to_have_count(3)
    await screen.shoot("bull-board-flow")
    assert [] == screen.errors
