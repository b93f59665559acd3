"""What the end of a child does to its parent, and what children do to a parent's own moves."""

from __future__ import annotations

from typing import Any

import pytest
from tests.integration.lua.keyspace import NOW, PRIORITY, STEP, Keyspace, Table, child, job
from tests.integration.lua.steps import DONE, FAILED, TOKEN, active, end, ids_of, run_job, send

from oxcart import Retention
from oxcart._model.outcome import Completed, Outcome, WaitingForChildren
from oxcart._wire.codes import Code


def running_child(parents: Keyspace, *siblings: str, flag: str = "", **parent: str) -> Table:
    """A child ``c`` that runs; its parent ``p`` in another queue waits for it and others."""
    space_keys = parents.beside("q").keys
    names = {space_keys.job(name) for name in ("c", *siblings)}
    parents.write({"p": job(**parent), "waiting-children": {"p": NOW}, "p:dependencies": names})
    return active("c") | {"c": child(parents, "p", flag=flag, ats="1", processedOn="5")}


@pytest.fixture
def parents(space: Keyspace) -> Keyspace:
    """The parents' queue."""
    return space.beside("up")


@pytest.mark.parametrize(
    ("parent", "place"),
    [
        ({}, {"wait": ["0", "p"], "marker": {"0": 0}}),
        (
            {"priority": "3"},
            {"prioritized": {"p": 3 * PRIORITY + 1}, "pc": "1", "marker": {"0": 0}},
        ),
        ({"delay": "5"}, {"delayed": {"p": (NOW + 5) * STEP}, "marker": {"1": NOW + 5}}),
    ],
)
async def test_parent_of_the_last_child_that_completes_goes_where_it_belongs(
    space: Keyspace, parents: Keyspace, parent: dict[str, str], place: Table
) -> None:
    space.write(running_child(parents, **parent))
    parents.write({"wait": ["0"]})

    await send(space, end("c", Completed(b'{"a":1}')))

    values = {"p": job(**parent), "p:processed": {space.keys.job("c"): '{"a":1}'}}
    assert parents.read() == {"wait": ["0"], **values, **place}


async def test_parent_with_other_children_goes_on_waiting(
    space: Keyspace, parents: Keyspace
) -> None:
    space.write(running_child(parents, "d"))

    await send(space, end("c"))

    found = parents.read()
    assert found["waiting-children"] == {"p": NOW}
    assert found["p:dependencies"] == {space.keys.job("d")}
    assert parents.events() == []


@pytest.mark.parametrize(
    ("flag", "siblings", "is_released", "leaves"),
    [
        ("fpof", ["d"], True, "p:unsuccessful"),
        ("cpof", ["d"], True, "p:failed"),
        ("idof", ["d"], False, "p:failed"),
        ("idof", [], True, "p:failed"),
        ("rdof", ["d"], False, None),
        ("rdof", [], True, None),
    ],
)
async def test_failed_child_does_to_its_parent_what_its_policy_says(
    space: Keyspace,
    parents: Keyspace,
    flag: str,
    siblings: list[str],
    is_released: bool,
    leaves: str | None,
) -> None:
    space.write(running_child(parents, *siblings, flag=flag))

    await send(space, end("c", FAILED))

    found = parents.read()
    key = space.keys.job("c")
    assert (found.get("wait") == ["p"]) is is_released
    assert key not in found.get("p:dependencies", set())
    assert {part for part in ("p:unsuccessful", "p:failed") if part in found} == (
        {leaves} if leaves else set()
    )
    if leaves:
        assert found[leaves] == ({key: NOW} if flag == "fpof" else {key: "boom"})
    assert ("defa" in found["p"]) is (flag == "fpof")


async def test_failed_child_without_a_policy_is_waited_for(
    space: Keyspace, parents: Keyspace
) -> None:
    space.write(running_child(parents))
    before = parents.read()

    await send(space, end("c", FAILED))

    assert parents.read() == before


async def test_parent_goes_on_when_its_failed_child_is_not_kept(
    space: Keyspace, parents: Keyspace
) -> None:
    space.write(running_child(parents, priority="3"))

    await send(space, end("c", FAILED, keep=Retention.NONE))

    assert parents.read()["wait"] == ["p"]


@pytest.mark.parametrize(
    ("place", "after"),
    [
        ({"delayed": {"p": NOW * STEP}}, {"wait": ["p"], "marker": {"0": 0}}),
        ({"active": ["p"]}, {"active": ["p"]}),
        ({"wait": ["p", "0"]}, {"wait": ["p", "0"]}),
    ],
)
async def test_parent_that_does_not_wait_is_failed_by_its_next_worker(
    space: Keyspace, parents: Keyspace, place: Table, after: Table
) -> None:
    space.write(running_child(parents, flag="fpof", delay="7"))
    parents.client.delete(parents.keys.waiting_children)
    parents.write(place)

    await send(space, end("c", FAILED))

    found = parents.read()
    assert found["p"]["defa"] == f"child {space.keys.job('c')} failed"
    for key in ("p", "p:unsuccessful"):
        del found[key]
    assert found == after


async def test_policy_of_a_parent_that_fails_counts_for_the_one_above(
    space: Keyspace, parents: Keyspace
) -> None:
    top = space.beside("top")
    space.write(running_child(parents, flag="fpof"))
    parents.write({"p": child(top, "t", flag="fpof")})
    top.write({"t": job(), "waiting-children": {"t": 1}, "t:dependencies": {parents.keys.job("p")}})

    await send(space, end("c", FAILED))
    taken = await send(parents, take=1)
    await send(parents, end("p", FAILED))

    assert ids_of(taken) == ["p"]
    found = top.read()
    assert found["wait"] == ["t"]
    assert found["t"]["defa"] == f"child {parents.keys.job('p')} failed"


@pytest.mark.parametrize(
    ("parts", "outcome", "code"),
    [
        ({"1:dependencies": {"x:y:c"}}, DONE, Code.PENDING_CHILDREN),
        ({"1:unsuccessful": {"x:y:c": 1}}, DONE, Code.FAILED_CHILDREN),
        ({"1:unsuccessful": {"x:y:c": 1}}, WaitingForChildren(), Code.FAILED_CHILDREN),
        ({}, WaitingForChildren(), 1),
    ],
)
async def test_refused_parent_stays_with_its_worker(
    space: Keyspace, parts: Table, outcome: Outcome, code: int
) -> None:
    before = active("1") | parts
    space.write(before)

    reply = await send(space, end("1", outcome))

    assert reply.codes == (code,)
    assert space.read() == before
    assert space.events() == []


async def test_parent_waits_for_its_children_without_an_attempt(space: Keyspace) -> None:
    parts: Any = {"1:dependencies": {"x:y:c"}}
    space.write(active("1") | parts)

    reply = await send(space, end("1", WaitingForChildren()))

    assert reply.codes == (0,)
    assert space.read() == {"1": run_job(), "waiting-children": {"1": NOW}, **parts}
    assert space.events() == [("waiting-children", "1", "active")]


@pytest.mark.parametrize("token", ["other", None])
async def test_parent_cannot_wait_under_a_strange_lock(space: Keyspace, token: str | None) -> None:
    before = active("1") | {"1:dependencies": {"x:y:c"}}
    before["1:lock"] = token or TOKEN
    space.write(before)

    reply = await send(space, end("1", WaitingForChildren(), token="strange"))

    assert reply.codes == (Code.LOCK_MISMATCH,)
    assert space.read() == before
