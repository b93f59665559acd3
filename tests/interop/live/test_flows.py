"""Flows over several queues: added by one side, run by any mix of both."""

from __future__ import annotations

from typing import Any

import pytest
from tests.interop.live.both import KINDS, Both, Kind
from tests.interop.live.node_side import NodeSide
from tests.interop.live.oxcart_side import OxcartSide
from tests.interop.live.waiting import wait_for

from oxcart import FlowJob, FlowNode, JobOptions, JobState, JsonValue, ParentPolicy, ParentRef

PARENTS, CHILDREN, IDLE = "parents", "children", "idle"
POLICIES: dict[ParentPolicy, str] = {
    "fail": "failParentOnFailure",
    "continue": "continueParentOnFailure",
    "ignore": "ignoreDependencyOnFailure",
    "remove": "removeDependencyOnFailure",
}
RELEASES_AT_ONCE = ("fail", "continue")
"""Policies under which a parent waits for no other child."""


async def add_family(both: Both, adder: Kind, numbers: list[int]) -> str:
    """Add a parent in one queue with children in another; gives the parent's id."""
    if adder == "node":
        children = [{"name": "echo", "queueName": CHILDREN, "data": n} for n in numbers]
        tree = {"name": "gather", "queueName": PARENTS, "children": children}
        return str((await both.node.flow("add", tree))["job"]["id"])
    flows = await both.oxcart.flows()
    nodes = [FlowNode("echo", queue=CHILDREN, data=number) for number in numbers]
    added = await flows.add(FlowNode("gather", queue=PARENTS, children=nodes))
    return added.job.id


@pytest.mark.parametrize("parent_runner", KINDS)
@pytest.mark.parametrize("child_runner", KINDS)
@pytest.mark.parametrize("adder", KINDS)
async def test_parent_runs_with_its_childrens_values_whoever_adds_and_runs_them(
    node: NodeSide, oxcart_side: OxcartSide, adder: Kind, child_runner: Kind, parent_runner: Kind
) -> None:
    both = Both(node, oxcart_side)
    parent_id = await add_family(both, adder, [1, 2, 3])
    parents = await oxcart_side.queue(PARENTS)
    assert "waiting-children" == await parents.get_state(parent_id)

    async with both.worker(parent_runner, PARENTS), both.worker(child_runner, CHILDREN):
        assert [1, 2, 3] == await node.queue(PARENTS).result(parent_id)

    job = await parents.get_job(parent_id)
    assert job is not None
    assert sorted((await job.children_values()).items()) == sorted(
        (await node.queue(PARENTS).call_job(parent_id, "getChildrenValues")).items()
    )


@pytest.mark.parametrize("child_runner", KINDS)
@pytest.mark.parametrize("parent_runner", KINDS)
async def test_handler_adds_children_and_waits_for_them(
    node: NodeSide, oxcart_side: OxcartSide, parent_runner: Kind, child_runner: Kind
) -> None:
    both = Both(node, oxcart_side)
    parents = await oxcart_side.queue(PARENTS)

    async with both.worker(parent_runner, PARENTS):
        job = await parents.add("spawn", {"queue": CHILDREN, "numbers": [4, 5]})
        await wait_for(job.state, lambda now: now == JobState.WAITING_CHILDREN, what="it to wait")
        async with both.worker(child_runner, CHILDREN):
            assert [4, 5] == await job.result()

    job = await job.refresh()
    assert (1, 2) == (job.attempts_made, job.attempts_started)


@pytest.mark.parametrize("runner", KINDS)
@pytest.mark.parametrize("adder", KINDS)
async def test_job_that_one_side_adds_to_a_parent_of_the_other_holds_it_up(
    node: NodeSide, oxcart_side: OxcartSide, adder: Kind, runner: Kind
) -> None:
    both = Both(node, oxcart_side)
    parents = await oxcart_side.queue(PARENTS)
    children = await oxcart_side.queue(CHILDREN)
    parent_id = await add_family(both, "oxcart" if adder == "node" else "node", [1])

    if adder == "node":
        parent = {"id": parent_id, "queue": f"{node.prefix}:{PARENTS}"}
        await node.queue(CHILDREN).add("echo", 2, parent=parent)
    else:
        await children.add("echo", 2, parent=ParentRef(queue=PARENTS, id=parent_id))
    counts = await parents.get_dependencies_count(parent_id)
    assert 2 == counts.unprocessed
    theirs = await node.queue(PARENTS).call_job(parent_id, "getDependenciesCount")
    assert 2 == theirs["unprocessed"]

    async with both.worker(runner, PARENTS), both.worker(runner, CHILDREN):
        assert [1, 2] == await node.queue(PARENTS).result(parent_id)


async def add_mourner(both: Both, adder: Kind, policy: ParentPolicy) -> str:
    """Add a parent of a child that fails under a policy, and of one that is run if it must be."""
    sibling_queue = IDLE if policy in RELEASES_AT_ONCE else CHILDREN
    data: JsonValue = {"reason": "so be it"}
    if adder == "node":
        failing = {"name": "hopeless", "queueName": CHILDREN, "data": data}
        children = [
            {**failing, "opts": {POLICIES[policy]: True}},
            {"name": "echo", "queueName": sibling_queue},
        ]
        tree = {"name": "mourn", "queueName": PARENTS, "children": children}
        return str((await both.node.flow("add", tree))["job"]["id"])
    flows = await both.oxcart.flows()
    options = JobOptions(parent_on_failure=policy)
    nodes = [
        FlowNode("hopeless", queue=CHILDREN, data=data, options=options),
        FlowNode("echo", queue=sibling_queue),
    ]
    return (await flows.add(FlowNode("mourn", queue=PARENTS, children=nodes))).job.id


@pytest.mark.parametrize("runners", [("node", "oxcart"), ("oxcart", "node")])
@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("adder", KINDS)
async def test_childs_failure_does_to_its_parent_what_its_policy_says(
    node: NodeSide,
    oxcart_side: OxcartSide,
    adder: Kind,
    policy: ParentPolicy,
    runners: tuple[Kind, Kind],
) -> None:
    both = Both(node, oxcart_side)
    parents = await oxcart_side.queue(PARENTS)
    parent_id = await add_mourner(both, adder, policy)
    child_runner, parent_runner = runners

    async with both.worker(child_runner, CHILDREN):
        await wait_for(
            lambda: parents.get_state(parent_id),
            lambda now: now == JobState.WAITING,
            what="the parent to be released",
        )
    counts = await parents.get_dependencies_count(parent_id)
    assert (1 if policy in RELEASES_AT_ONCE else 0) == counts.unprocessed
    if policy == "continue":  # what still waits keeps a parent from completing
        assert 1 == await parents.remove_unprocessed_children(parent_id)
    async with both.worker(parent_runner, PARENTS):
        await wait_for(
            lambda: parents.get_state(parent_id), lambda now: now.is_finished, what="the parent"
        )

    parent = await parents.get_job(parent_id)
    assert parent is not None
    seen = await node.queue(PARENTS).job(parent_id)
    if policy == "fail":
        assert JobState.FAILED == await parent.state()
        assert f"child {node.prefix}:{CHILDREN}:" in str(parent.failed_reason)
        assert parent.failed_reason == seen["failedReason"]
    else:
        assert JobState.COMPLETED == await parent.state()
        kept = [] if policy == "remove" else ["so be it"]
        assert kept == parent.return_value == seen["returnvalue"]


async def test_grandparents_of_three_queues_run_on_alternating_sides(
    node: NodeSide, oxcart_side: OxcartSide
) -> None:
    both = Both(node, oxcart_side)
    leaf = {"name": "echo", "queueName": "leaves", "data": 7}
    middle = {"name": "gather", "queueName": "middle", "children": [leaf, leaf]}
    added = await node.flow(
        "add", {"name": "gather", "queueName": "top", "children": [middle, leaf]}
    )

    async with (
        both.worker("oxcart", "leaves"),
        both.worker("node", "middle"),
        both.worker("oxcart", "top"),
    ):
        values = await node.queue("top").result(added["job"]["id"])

    assert sorted([[7, 7], 7], key=str) == sorted(values, key=str)


@pytest.mark.parametrize("adder", KINDS)
async def test_both_sides_read_the_same_flow(
    node: NodeSide, oxcart_side: OxcartSide, adder: Kind
) -> None:
    both = Both(node, oxcart_side)
    parent_id = await add_family(both, adder, [1, 2])
    parents = await oxcart_side.queue(PARENTS)
    await node.queue(CHILDREN).start_worker()
    job = await parents.get_job(parent_id)
    assert job is not None
    await wait_for(job.state, lambda now: now == JobState.WAITING, what="the children to run")

    ours = await (await oxcart_side.flows()).get_flow(PARENTS, parent_id)
    theirs = await node.flow("getFlow", {"id": parent_id, "queueName": PARENTS})
    dependencies = await job.dependencies()
    their_dependencies = await node.queue(PARENTS).call_job(parent_id, "getDependencies")

    assert ours is not None
    assert ids_of(ours) == ids_of_node(theirs)
    assert their_dependencies["processed"] == dependencies.processed
    assert () == dependencies.unprocessed
    assert sorted([1, 2]) == sorted(dependencies.processed.values(), key=str)
    child_id = ours.children[0].job.id
    child = await node.queue(CHILDREN).job(child_id)
    assert f"{node.prefix}:{PARENTS}:{parent_id}" == child["parentKey"]
    assert child["parentKey"] == ours.children[0].job.parent_key


def ids_of(tree: FlowJob) -> tuple[str, list[Any]]:
    return tree.job.id, sorted(ids_of(child) for child in tree.children)


def ids_of_node(tree: dict[str, Any]) -> tuple[str, list[Any]]:
    children = tree.get("children") or []
    return tree["job"]["id"], sorted(ids_of_node(child) for child in children)


@pytest.mark.parametrize("remover", KINDS)
@pytest.mark.parametrize("adder", KINDS)
async def test_parent_is_removed_with_its_children_by_either_side(
    node: NodeSide, oxcart_side: OxcartSide, adder: Kind, remover: Kind
) -> None:
    parent_id = await add_family(Both(node, oxcart_side), adder, [1, 2, 3])
    parents = await oxcart_side.queue(PARENTS)
    children = await oxcart_side.queue(CHILDREN)

    if remover == "node":
        assert 1 == await node.queue(PARENTS).call("remove", parent_id, {"removeChildren": True})
    else:
        await parents.remove(parent_id)

    assert JobState.UNKNOWN == await parents.get_state(parent_id)
    assert 0 == (await children.get_counts()).pending
    assert 0 == await node.queue(CHILDREN).call("count")


@pytest.mark.parametrize("remover", KINDS)
async def test_removing_the_last_child_lets_the_others_parent_run(
    node: NodeSide, oxcart_side: OxcartSide, remover: Kind
) -> None:
    both = Both(node, oxcart_side)
    parent_id = await add_family(both, "oxcart" if remover == "node" else "node", [1])
    [child] = await (await oxcart_side.queue(CHILDREN)).get_jobs(JobState.WAITING)

    if remover == "node":
        await node.queue(CHILDREN).call("remove", child.id)
    else:
        await child.remove()

    async with both.worker(remover, PARENTS):
        assert [] == await node.queue(PARENTS).result(parent_id)


@pytest.mark.parametrize("cutter", KINDS)
async def test_child_that_is_cut_loose_holds_its_parent_no_longer(
    node: NodeSide, oxcart_side: OxcartSide, cutter: Kind
) -> None:
    both = Both(node, oxcart_side)
    parent_id = await add_family(both, "oxcart" if cutter == "node" else "node", [1])
    children = await oxcart_side.queue(CHILDREN)
    [child] = await children.get_jobs(JobState.WAITING)

    if cutter == "node":
        assert await node.queue(CHILDREN).call_job(child.id, "removeChildDependency")
    else:
        assert await children.remove_child_dependency(child.id)

    async with both.worker(cutter, PARENTS):
        assert [] == await node.queue(PARENTS).result(parent_id)
    assert JobState.WAITING == await child.state()


@pytest.mark.parametrize("remover", KINDS)
async def test_children_that_were_not_run_are_removed_by_either_side(
    node: NodeSide, oxcart_side: OxcartSide, remover: Kind
) -> None:
    both = Both(node, oxcart_side)
    parent_id = await add_family(both, "oxcart" if remover == "node" else "node", [1, 2])
    parents = await oxcart_side.queue(PARENTS)
    children = await oxcart_side.queue(CHILDREN)

    if remover == "node":
        await node.queue(PARENTS).call_job(parent_id, "removeUnprocessedChildren")
    else:
        assert 2 == await parents.remove_unprocessed_children(parent_id)

    assert 0 == (await children.get_counts()).pending
    async with both.worker(remover, PARENTS):
        assert [] == await node.queue(PARENTS).result(parent_id)


async def test_child_that_one_side_failed_and_the_other_retried_completes_its_parent(
    node: NodeSide, oxcart_side: OxcartSide
) -> None:
    both = Both(node, oxcart_side)
    flows = await oxcart_side.flows()
    child = FlowNode("flaky", queue=CHILDREN, data={"failures": 1})
    added = await flows.add(FlowNode("gather", queue=PARENTS, children=[child]))
    child_job = added.children[0].job

    async with both.worker("node", CHILDREN):
        await wait_for(child_job.state, lambda now: now == JobState.FAILED, what="it to fail")
        assert JobState.WAITING_CHILDREN == await added.job.state()
    await child_job.retry()

    async with both.worker("oxcart", CHILDREN), both.worker("node", PARENTS):
        assert [2] == await added.job.result()
