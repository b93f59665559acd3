from __future__ import annotations

import pytest
from tests.integration.lua.keyspace import NOW, Keyspace, Table, child, job

from oxcart._store.calls.moving import remove


@pytest.fixture(params=[False, True])
def with_children(request: pytest.FixtureRequest) -> bool:
    """Whether descendants go too; a job without any is removed the same way."""
    return bool(request.param)


PARTS: Table = {
    "1": job(), "1:logs": ["row"], "1:dependencies": {"a"}, "1:processed": {"a": "1"},
    "1:failed": {"a": "x"}, "1:unsuccessful": {"a": 1.0},
}  # fmt: skip


@pytest.mark.parametrize("state", ["wait", "paused", "active"])
async def test_job_leaves_its_list_with_all_its_keys(
    space: Keyspace, with_children: bool, state: str
) -> None:
    space.write(PARTS | {state: ["0", "1", "2"]})

    assert await space.run(remove(space.keys, "1", with_children=with_children)) == 1

    assert space.read() == {state: ["0", "2"]}
    assert space.events() == [("removed", "1", state)]


@pytest.mark.parametrize(
    "state", ["completed", "failed", "delayed", "prioritized", "waiting-children"]
)
async def test_job_leaves_its_set_with_all_its_keys(
    space: Keyspace, with_children: bool, state: str
) -> None:
    space.write(PARTS | {state: {"1": 5.0, "2": 6.0}})

    assert await space.run(remove(space.keys, "1", with_children=with_children)) == 1

    assert space.read() == {state: {"2": 6.0}}
    assert space.events() == [("removed", "1", state)]


async def test_job_in_no_state_is_removed_too(space: Keyspace, with_children: bool) -> None:
    space.write(PARTS)

    assert await space.run(remove(space.keys, "1", with_children=with_children)) == 1

    assert space.read() == {}
    assert space.events() == [("removed", "1", "unknown")]


async def test_locked_job_stays(space: Keyspace, with_children: bool) -> None:
    before = {"1": job(), "1:lock": "tok", "active": ["1"]}
    space.write(before)

    assert await space.run(remove(space.keys, "1", with_children=with_children)) == 0

    assert space.read() == before


async def test_unknown_job_is_no_error_and_no_event(space: Keyspace, with_children: bool) -> None:
    assert await space.run(remove(space.keys, "1", with_children=with_children)) == 1

    assert space.read(without="") == {}


async def test_id_without_a_hash_leaves_its_list(space: Keyspace, with_children: bool) -> None:
    space.write({"wait": ["1", "2"]})

    assert await space.run(remove(space.keys, "1", with_children=with_children)) == 1

    assert space.read() == {"wait": ["2"]}
    assert space.events() == []


async def test_key_of_another_type_under_a_jobs_name_is_removed(
    space: Keyspace, with_children: bool
) -> None:
    space.write({"wait": ["1"], "1": "a string"})

    assert await space.run(remove(space.keys, "1", with_children=with_children)) == 1

    assert space.read() == {}


@pytest.mark.parametrize(("due", "code"), [(NOW, -8), (NOW + 1, 1)])
async def test_only_the_pending_job_of_a_scheduler_is_protected(
    space: Keyspace, with_children: bool, due: int, code: int
) -> None:
    job_id = f"repeat:s:{NOW}"
    space.write({job_id: job(rjk="s"), "wait": [job_id], "repeat": {"s": float(due)}})

    assert await space.run(remove(space.keys, job_id, with_children=with_children)) == code

    assert (job_id in space.read()) is (code == -8)


def family(space: Keyspace) -> Table:
    """A parent ``p`` whose child ``m`` has failed for it and waits for a child ``g`` of its own."""
    return {
        "p": job(), "waiting-children": {"p": 1.0}, "p:dependencies": {space.keys.job("c")},
        "c": child(space, "p"), "wait": ["g", "c"], "p:failed": {space.keys.job("m"): "why"},
        "m": child(space, "p"), "failed": {"m": 1.0}, "m:dependencies": {space.keys.job("g")},
        "g": child(space, "m"),
    }  # fmt: skip


async def test_descendants_go_too_if_asked_for(space: Keyspace) -> None:
    space.write(family(space))

    assert await space.run(remove(space.keys, "p", with_children=True)) == 1

    assert space.read(without="events meta marker") == {}
    assert sorted(space.events()) == [
        ("removed", "c", "wait"), ("removed", "g", "wait"), ("removed", "m", "failed"),
        ("removed", "p", "wait"), ("waiting", "p", "waiting-children"),
    ]  # fmt: skip


async def test_children_stay_if_not_asked_for(space: Keyspace) -> None:
    space.write(family(space))

    assert await space.run(remove(space.keys, "p", with_children=False)) == 1

    assert {"c", "m", "g", "m:dependencies"} <= space.read().keys()
    assert space.events() == [("removed", "p", "waiting-children")]


@pytest.mark.parametrize("running", ["c", "g"])
async def test_job_with_a_descendant_that_runs_stays_whole(space: Keyspace, running: str) -> None:
    """However deep it is, and though the job between them is settled: its lock would be left."""
    waiting = [name for name in ("g", "c") if name != running]
    before = family(space) | {"wait": waiting, "active": [running], f"{running}:lock": "tok"}
    space.write(before)

    assert await space.run(remove(space.keys, "p", with_children=True)) == 0

    assert space.read(without="") == before


async def test_job_that_has_the_id_of_a_child_that_is_gone_stays(space: Keyspace) -> None:
    settled = {"p:processed": {space.keys.job("c"): "1"}, "completed": {"p": 1.0}}
    stranger: Table = {"c": job(), "active": ["c"], "c:lock": "tok"}
    space.write({"p": job(), **settled, **stranger})

    assert await space.run(remove(space.keys, "p", with_children=True)) == 1

    assert space.read() == stranger


async def test_parent_that_waited_for_this_job_alone_goes_on(
    space: Keyspace, with_children: bool
) -> None:
    space.write({"p": job(priority="3"), "waiting-children": {"p": 1.0}, "wait": ["1"]})
    space.write({"p:dependencies": {space.keys.job("1")}, "1": child(space, "p")})

    assert await space.run(remove(space.keys, "1", with_children=with_children)) == 1

    assert space.read() == {"p": job(priority="3"), "wait": ["p"], "marker": {"0": 0}}
    assert space.events() == [("waiting", "p", "waiting-children"), ("removed", "1", "wait")]


@pytest.mark.parametrize(("holder", "is_freed"), [("1", True), ("2", False)])
async def test_deduplication_id_is_freed_by_its_holder(
    space: Keyspace, with_children: bool, holder: str, is_freed: bool
) -> None:
    space.write({"1": job(deid="d"), "wait": ["1"], "de:d": holder, "dn:d": {"jid": "9"}})

    await space.run(remove(space.keys, "1", with_children=with_children))

    assert space.read() == ({} if is_freed else {"de:d": holder, "dn:d": {"jid": "9"}})


async def test_family_of_many_leaves_the_lists_and_nobody_else_does(space: Keyspace) -> None:
    """So many are taken out of a list in one pass; the parent comes into it on the way."""
    other = space.beside("other")
    names = [f"c{number}" for number in range(60)]
    keys = {space.keys.job(name) for name in names} | {other.keys.job("far")}
    mixed = [item for name in names[:40] for item in (name, f"stranger-{name}")]
    strangers = {name: job() for name in mixed if name.startswith("stranger")}
    space.write({"p": job(), "waiting-children": {"p": 1.0}, "p:dependencies": keys})
    space.write({name: child(space, "p") for name in names} | strangers | {"wait": mixed})
    space.write({"delayed": dict.fromkeys(names[40:], 1.0)})
    other.write({"far": child(space, "p"), "wait": ["far"]})

    assert await space.run(remove(space.keys, "p", with_children=True)) == 1

    assert space.read(without="events meta marker") == strangers | {"wait": list(strangers)}
    assert other.read() == {}
    removed = [event for event in space.events() if event[0] == "removed"]
    assert sorted(removed) == sorted(
        [("removed", "p", "wait")]
        + [("removed", name, "wait") for name in names[:40]]
        + [("removed", name, "delayed") for name in names[40:]]
    )
