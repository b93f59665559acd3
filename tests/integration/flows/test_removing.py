"""Removing jobs of flows, and cutting their ties."""

from __future__ import annotations

import pytest
from tests.integration.queue.hand import Hand

from oxcart import App, FlowNode, FlowProducer, JobOptions, JobState, Queue
from oxcart.errors import JobLocked, JobNotFound


@pytest.fixture
def queue(app: App) -> Queue:
    return app.queue("q")


def node(job_id: str, *children: FlowNode) -> FlowNode:
    return FlowNode("n", "q", options=JobOptions(job_id=job_id), children=children)


async def test_removing_a_parent_removes_its_descendants(queue: Queue, flows: FlowProducer) -> None:
    await flows.add(node("a", node("b", node("c")), node("d")))

    await queue.remove("a")

    assert [None] * 4 == [await queue.get_job(job_id) for job_id in "abcd"]
    assert 0 == (await queue.get_counts()).pending


async def test_parent_alone_may_be_removed(queue: Queue, flows: FlowProducer) -> None:
    await flows.add(node("a", node("b")))

    await queue.remove("a", with_children=False)

    assert await queue.get_job("a") is None
    assert await queue.get_state("b") is JobState.WAITING


async def test_parent_of_a_running_child_is_not_removed(queue: Queue, flows: FlowProducer) -> None:
    await flows.add(node("a", node("b")))
    await Hand(queue).take()

    with pytest.raises(JobLocked):
        await queue.remove("a")

    assert await queue.get_state("a") is JobState.WAITING_CHILDREN


async def test_removing_the_last_pending_child_releases_the_parent(
    queue: Queue, flows: FlowProducer
) -> None:
    await flows.add(node("a", node("b")))

    await queue.remove("b")

    assert await queue.get_state("a") is JobState.WAITING


async def test_cleaning_the_last_pending_child_releases_the_parent(
    queue: Queue, flows: FlowProducer
) -> None:
    """BullMQ would delete a parent in the same queue."""
    await flows.add(node("a", node("b")))
    hand = Hand(queue)
    await hand.take()
    await hand.fail("b")

    assert ["b"] == await queue.clean("0s", state=JobState.FAILED)

    assert await queue.get_state("a") is JobState.WAITING


async def test_unprocessed_children_are_removed_but_running_and_failed_ones(
    queue: Queue, flows: FlowProducer
) -> None:
    await flows.add(node("a", *[node(name) for name in ("done", "broken", "runs", "w1", "w2")]))
    hand = Hand(queue)
    assert ["done", "broken", "runs"] == await hand.take(3)
    await hand.complete("done")
    await hand.fail("broken")

    assert 2 == await queue.remove_unprocessed_children("a")

    pending = (await queue.get_dependencies("a")).unprocessed
    assert ["broken", "runs"] == sorted(key.rpartition(":")[2] for key in pending)
    assert await queue.get_job("w1") is None


async def test_cut_tie_lets_the_parent_go_on(queue: Queue, flows: FlowProducer) -> None:
    await flows.add(node("a", node("b")))

    assert await queue.remove_child_dependency("b")
    assert not await queue.remove_child_dependency("b")

    assert await queue.get_state("a") is JobState.WAITING
    child = await queue.get_job("b")
    assert child is not None
    assert child.parent_key is None
    with pytest.raises(JobNotFound):
        await queue.remove_child_dependency("nope")


async def test_counts_and_lists_of_children_agree(queue: Queue, flows: FlowProducer) -> None:
    await flows.add(node("a", *[node(f"c{n}") for n in range(4)]))
    hand = Hand(queue)
    taken = await hand.take(2)
    await hand.complete(taken[0], b"1")

    counts = await queue.get_dependencies_count("a")
    found = await queue.get_dependencies("a")

    assert (1, 3, 0, 0) == (counts.processed, counts.unprocessed, counts.ignored, counts.failed)
    assert (1, 3) == (len(found.processed), len(found.unprocessed))
    assert {1} == set((await queue.get_children_values("a")).values())
