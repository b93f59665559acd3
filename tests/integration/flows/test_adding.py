"""Adding flows: all or nothing, over several queues, with jobs that are there already."""

from __future__ import annotations

import asyncio

import pytest
import redis
from tests.integration.queue.hand import Hand

from oxcart import App, Deduplication, Flow, FlowNode, FlowProducer, JobOptions, JobState, ParentRef
from oxcart.errors import ConfigError, ParentConflict, ParentNotFound, PayloadError, WrongKeyType


def node(job_id: str, *children: FlowNode, queue: str = "q") -> FlowNode:
    return FlowNode("n", queue, options=JobOptions(job_id=job_id), children=children)


async def test_every_job_of_the_tree_is_returned_in_its_place(flows: FlowProducer) -> None:
    added = await flows.add(node("a", node("b", node("c", queue="r")), node("d")))

    assert ("a", ["b", "d"]) == (added.job.id, [child.job.id for child in added.children])
    assert ["c"] == [child.job.id for child in added.children[0].children]
    assert added.children[0].children[0].job.queue == "r"
    assert all(child.job.is_new for child in added.children)


async def test_flow_is_read_back_as_it_was_added(flows: FlowProducer) -> None:
    await flows.add(node("a", node("b", node("c", queue="r")), node("d")))

    found = await flows.get_flow("q", "a")

    assert found is not None
    assert ["b", "d"] == sorted(child.job.id for child in found.children)
    (inner,) = [child for child in found.children if child.job.id == "b"]
    assert ["c"] == [child.job.id for child in inner.children]
    shallow = await flows.get_flow("q", "a", depth=1)
    assert shallow is not None
    assert () == shallow.children
    assert await flows.get_flow("q", "nope") is None


async def test_nothing_is_added_if_one_child_has_another_parent(
    app: App, flows: FlowProducer
) -> None:
    await flows.add(node("first", node("shared")))

    with pytest.raises(ParentConflict, match=r"'shared'.*nothing was added"):
        await flows.add(node("second", node("own"), node("shared")))

    queue = app.queue("q")
    assert await queue.get_job("second") is None
    assert await queue.get_job("own") is None


async def test_root_may_be_the_child_of_a_job_that_is_there(app: App, flows: FlowProducer) -> None:
    await flows.add(node("top", node("first")))
    root = JobOptions(job_id="more", parent=ParentRef(queue="q", id="top"))

    await flows.add(FlowNode("n", "q", options=root, children=[node("leaf")]))

    pending = (await app.queue("q").get_dependencies("top")).unprocessed
    assert ["first", "more"] == sorted(key.rpartition(":")[2] for key in pending)


async def test_root_whose_parent_is_not_there_is_refused(app: App, flows: FlowProducer) -> None:
    options = JobOptions(job_id="a", parent=ParentRef(queue="q", id="nope"))

    with pytest.raises(ParentNotFound, match="'nope' of queue 'q', is not there"):
        await flows.add(FlowNode("n", "q", options=options, children=[node("b")]))

    assert await app.queue("q").get_job("a") is None
    assert await app.queue("q").get_job("b") is None


async def test_completed_child_counts_as_settled(app: App, flows: FlowProducer) -> None:
    queue = app.queue("q")
    done = await queue.add("n", job_id="done")
    hand = Hand(queue)
    await hand.take()
    await hand.complete(done.id, b"42")

    added = await flows.add(node("parent", node("done")))

    assert not added.children[0].job.is_new
    assert await queue.get_state("parent") is JobState.WAITING
    assert [42] == list((await queue.get_children_values("parent")).values())


async def test_same_flow_added_twice_is_there_once(app: App, flows: FlowProducer) -> None:
    tree = node("a", node("b"), node("c"))
    await flows.add(tree)

    again = await flows.add(tree)

    assert not again.job.is_new
    counts = await app.queue("q").get_counts()
    assert (1, 2) == (counts.waiting_children, counts.waiting)


async def test_several_flows_go_in_together(app: App, flows: FlowProducer) -> None:
    added = await flows.add_many([node("a", node("b")), Flow(node("c"))])

    assert ["a", "c"] == [tree.job.id for tree in added]
    assert [] == await flows.add_many([])
    assert await app.queue("q").get_state("c") is JobState.WAITING


@pytest.mark.parametrize(
    ("tree", "problem"),
    [
        (lambda: node("a", node("b"), node("b")), "'b' twice"),
        (
            lambda: FlowNode(
                "n",
                "q",
                options=JobOptions(deduplication="d"),
                children=[node("b")],
            ),
            "children and a deduplication id",
        ),
        (
            lambda: node("a", FlowNode("n", "q", options=JobOptions(deduplication="d"))),
            "a parent and a deduplication id",
        ),
        (
            lambda: node(
                "a", FlowNode("n", "q", options=JobOptions(parent=ParentRef(queue="q", id="x")))
            ),
            "has a parent in the flow",
        ),
        (lambda: node("a", *[FlowNode("n", "q") for _ in range(10_000)]), "more than 10,000 jobs"),
    ],
)
def test_wrong_tree_is_refused_before_anything_is_sent(tree: object, problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        Flow(tree())  # type: ignore[operator]


async def test_data_that_json_cannot_hold_is_refused(app: App, flows: FlowProducer) -> None:
    with pytest.raises(PayloadError):
        await flows.add(FlowNode("n", "q", data=float("nan"), children=[node("b")]))

    assert await app.queue("q").get_job("b") is None


async def test_broken_queue_of_one_node_keeps_the_whole_flow_out(
    app: App, flows: FlowProducer, valkey: redis.Redis, prefix: str
) -> None:
    valkey.set(f"{prefix}:broken:wait", "not a list")

    with pytest.raises(WrongKeyType, match=f"{prefix}:broken:wait"):
        await flows.add(node("a", node("b"), node("c", queue="broken")))

    assert await app.queue("q").get_job("a") is None


async def test_lone_child_needs_its_parent(app: App) -> None:
    queue = app.queue("q")

    with pytest.raises(ParentNotFound):
        await queue.add("n", parent=ParentRef(queue="q", id="nope"))
    with pytest.raises(ConfigError, match="a job with a parent cannot have"):
        await queue.add(
            "n", parent=ParentRef(queue="q", id="p"), deduplication=Deduplication(id="d")
        )


async def test_refused_child_does_not_take_its_neighbours_along(app: App) -> None:
    """Concurrent adds share a call; each caller gets its own job or its own error."""
    queue = app.queue("q")
    await queue.open()
    async with asyncio.TaskGroup() as group:
        good = [group.create_task(queue.add("n")) for _ in range(5)]
        bad = group.create_task(_refused(queue, "nope"))
        more = [group.create_task(queue.add("n")) for _ in range(5)]

    assert bad.result()
    assert 10 == len({task.result().id for task in (*good, *more)})
    assert 10 == (await queue.get_counts()).waiting


async def _refused(queue: object, parent: str) -> bool:
    with pytest.raises(ParentNotFound):
        await queue.add("n", parent=ParentRef(queue="q", id=parent))  # type: ignore[attr-defined]
    return True


async def test_flows_of_one_call_are_bounded_together(app: App, flows: FlowProducer) -> None:
    trees = [
        FlowNode("n", "q", children=[FlowNode("n", "q") for _ in range(4_999)]) for _ in range(3)
    ]

    with pytest.raises(ConfigError, match=r"the 3 flows have 15,000 jobs.*nothing was added"):
        await flows.add_many(trees)

    assert 0 == (await app.queue("q").get_counts()).pending
    assert 2 == len(await flows.add_many(trees[:2]))
