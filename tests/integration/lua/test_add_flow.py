from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from tests.integration.lua.keyspace import NOW, STEP, Keyspace, Table, child, job

from oxcart import FlowNode, JobOptions, ParentRef
from oxcart._store.calls.adding import Added, encode_job
from oxcart._store.calls.flows import EncodedNode, add_flow
from oxcart._wire.keys import QueueKeys
from oxcart.errors import WrongKeyType


def node(job_id: str, *children: FlowNode, queue: str = "q", **options: Any) -> FlowNode:
    """A node of a flow with an id of its own."""
    given = JobOptions(job_id=job_id, attempts=0, **options)
    return FlowNode("n", queue=queue, options=given, children=children)


def encode(tree: FlowNode, prefix: str, parent: ParentRef | None = None) -> list[EncodedNode]:
    """The nodes of a tree, parents before their children."""
    keys = QueueKeys(prefix, tree.queue)
    options = tree.options if parent is None else replace(tree.options, parent=parent)
    spec = replace(tree.spec, options=options)
    encoded = encode_job(spec, prefix=prefix, has_children=bool(tree.children))
    own = ParentRef(queue=tree.queue, id=tree.options.job_id or "")
    nodes = [EncodedNode(keys, encoded, is_inner=parent is not None)]
    return nodes + [inner for below in tree.children for inner in encode(below, prefix, own)]


async def add(space: Keyspace, tree: FlowNode, *, nonce: str = "n1") -> list[Added]:
    """Add a tree; its nodes' answers."""
    nodes = encode(tree, space.keys.prefix)
    added: list[Added] = await space.run(add_flow(nodes, clock=space.clock, nonce=nonce))
    return added


def stored(table: Table) -> Table:
    """The jobs' hashes without their options, which ``test_options_codec`` pins."""
    return {
        key: {name: text for name, text in value.items() if name != "opts"}
        if isinstance(value, dict)
        else value
        for key, value in table.items()
    }


async def test_tree_over_two_queues_stands_with_its_ties(space: Keyspace) -> None:
    down = space.beside("down")

    added = await add(space, node("p", node("a", queue="down"), node("b", delay="5s")))

    assert [(item.job_id, item.status) for item in added] == [("p", 1), ("a", 1), ("b", 1)]
    assert stored(space.read()) == stored(
        {
            "id": "2", "p": job(), "waiting-children": {"p": NOW},
            "p:dependencies": {down.keys.job("a"), space.keys.job("b")},
            "b": child(space, "p", delay="5000"), "delayed": {"b": (NOW + 5_000) * STEP},
            "marker": {"1": NOW + 5_000},
        }
    )  # fmt: skip
    assert stored(down.read()) == stored(
        {"id": "1", "a": child(space, "p"), "wait": ["a"], "marker": {"0": 0}}
    )
    assert space.events() == [
        ("added", "p", "n"), ("waiting-children", "p"),
        ("added", "b", "n"), ("delayed", "b", str(NOW + 5_000)),
    ]  # fmt: skip
    assert down.events() == [("added", "a", "n"), ("waiting", "a")]


async def test_node_between_is_child_and_parent(space: Keyspace) -> None:
    await add(space, node("p", node("m", node("c"))))

    found = space.read()
    assert found["waiting-children"] == {"p": NOW, "m": NOW}
    assert found["p:dependencies"] == {space.keys.job("m")}
    assert found["m:dependencies"] == {space.keys.job("c")}
    assert found["m"]["parentKey"] == space.keys.job("p")
    assert found["wait"] == ["c"]


@pytest.mark.parametrize(
    ("policy", "flag"),
    [("fail", "fpof"), ("continue", "cpof"), ("ignore", "idof"), ("remove", "rdof")],
)
async def test_policy_stands_in_the_link_and_in_the_options(
    space: Keyspace, policy: Any, flag: str
) -> None:
    await add(space, node("p", node("c", parent_on_failure=policy)))

    found = space.read()["c"]
    own_queue = space.keys.base.removesuffix(":")
    assert json.loads(found["parent"]) == {"id": "p", "queueKey": own_queue, flag: True}
    options = json.loads(found["opts"])
    assert options[flag] is True
    assert options["parent"] == {"id": "p", "queue": own_queue}


async def test_repeated_insert_adds_nothing_and_answers_as_the_first_did(space: Keyspace) -> None:
    first = await add(space, node("p", node("c")))
    before, events = space.read(), space.events()
    space.clock.ms += 500

    again = await add(space, node("p", node("c")))

    assert again == first
    assert space.read() == before
    assert space.events() == events
    assert 0 < space.ttl_ms("oxcart:add-n1") <= 60_000


async def test_completed_job_that_becomes_a_child_is_settled(space: Keyspace) -> None:
    space.write({"done": job(returnvalue='"r"'), "completed": {"done": 1.0}})

    added = await add(space, node("p", node("done"), node("c")))

    assert [item.status for item in added] == [1, 0, 1]
    found = space.read()
    assert found["p:processed"] == {space.keys.job("done"): '"r"'}
    assert found["p:dependencies"] == {space.keys.job("c")}
    assert found["done"]["parentKey"] == space.keys.job("p")
    assert ("duplicated", "done") in space.events()


async def test_parent_all_of_whose_children_are_completed_is_ready(space: Keyspace) -> None:
    space.write({"done": job(returnvalue="1"), "completed": {"done": 1.0}})

    await add(space, node("p", node("done")))

    found = space.read()
    assert found["wait"] == ["p"]
    assert found["marker"] == {"0": 0}
    assert "waiting-children" not in found
    assert space.events()[-1] == ("waiting", "p", "waiting-children")


async def test_job_that_waits_becomes_a_child_where_it_is(space: Keyspace) -> None:
    space.write({"c": job(name="old"), "wait": ["c"]})

    await add(space, node("p", node("c")))

    found = space.read()
    assert found["c"] == child(space, "p", name="old")
    assert found["wait"] == ["c"]
    assert found["p:dependencies"] == {space.keys.job("c")}


REFUSED = [
    (node("p", node("c")), {"c": {"of": "other"}, "other": job(), "wait": ["other", "c"]}, "c", -7),
    (node("p", node("c"), parent=ParentRef(queue="q", id="gone")), {}, "p", -5),
]


@pytest.mark.parametrize(("tree", "before", "job_id", "code"), REFUSED)
async def test_refused_node_keeps_the_whole_tree_out(
    space: Keyspace, tree: FlowNode, before: Table, job_id: str, code: int
) -> None:
    if "c" in before:
        before = before | {"c": child(space, before["c"]["of"])}
    space.write(before)

    (added,) = await add(space, tree)

    assert (added.job_id, added.status) == (job_id, code)
    assert space.read(without="") == before


async def test_link_to_a_parent_that_is_gone_is_no_hindrance(space: Keyspace) -> None:
    space.write({"c": child(space, "gone"), "wait": ["c"]})

    await add(space, node("p", node("c")))

    assert space.read()["c"] == child(space, "p")


async def test_root_may_have_a_parent_that_is_there(space: Keyspace) -> None:
    space.write({"top": job(), "waiting-children": {"top": 1.0}})

    await add(space, node("p", node("c"), parent=ParentRef(queue="q", id="top")))

    assert space.read()["top:dependencies"] == {space.keys.job("p")}


@pytest.mark.parametrize("suffix", ["wait", "waiting-children", "events"])
async def test_wrong_key_of_one_queue_keeps_the_whole_tree_out(
    space: Keyspace, suffix: str
) -> None:
    down = space.beside("down")
    down.write({suffix: "a string"})

    with pytest.raises(WrongKeyType, match=f"{down.keys.base}{suffix} is a"):
        await add(space, node("p", node("c", queue="down")))

    assert space.read(without="") == {}
    assert down.read(without="") == {suffix: "a string"}
