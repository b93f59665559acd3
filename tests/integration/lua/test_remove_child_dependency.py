from __future__ import annotations

from tests.integration.lua.keyspace import NOW, Keyspace, Table, child, job

from oxcart._store.calls.flows import remove_child_dependency


def family(space: Keyspace, *child_ids: str) -> Table:
    """A parent ``p`` in the queue ``up`` that waits for jobs of this one."""
    parents = space.beside("up")
    keys = {space.keys.job(child_id) for child_id in child_ids}
    parents.write({"p": job(delay="9"), "waiting-children": {"p": NOW}, "p:dependencies": keys})
    table: Table = {"wait": list(child_ids)}
    return table | {child_id: child(parents, "p") for child_id in child_ids}


async def test_child_is_nobodys_any_more_and_the_parent_waits_for_the_others(
    space: Keyspace,
) -> None:
    space.write(family(space, "1", "2"))

    assert await space.run(remove_child_dependency(space.keys, "1")) == 0

    parents = space.beside("up")
    assert space.read()["1"] == job()
    assert parents.read() == {
        "p": job(delay="9"), "waiting-children": {"p": NOW},
        "p:dependencies": {space.keys.job("2")},
    }  # fmt: skip
    assert parents.events() == []


async def test_parent_of_the_last_child_is_next(space: Keyspace) -> None:
    """Its own delay and priority are not looked at, as in BullMQ."""
    space.write(family(space, "1"))
    parents = space.beside("up")
    parents.write({"wait": ["0"]})

    assert await space.run(remove_child_dependency(space.keys, "1")) == 0

    assert parents.read() == {"p": job(delay="9"), "wait": ["0", "p"], "marker": {"0": 0}}
    assert parents.events() == [("waiting", "p", "waiting-children")]


async def test_job_without_a_parent_has_no_dependency(space: Keyspace) -> None:
    space.write({"1": job()})

    assert await space.run(remove_child_dependency(space.keys, "1")) == 1


async def test_settled_child_keeps_its_parent(space: Keyspace) -> None:
    parents = space.beside("up")
    parents.write({"p": job(), "p:processed": {space.keys.job("1"): "1"}, "wait": ["p"]})
    before = {"1": child(parents, "p")}
    space.write(before)

    assert await space.run(remove_child_dependency(space.keys, "1")) == 1

    assert space.read(without="") == before


async def test_missing_jobs_are_told(space: Keyspace) -> None:
    space.write({"1": child(space.beside("up"), "gone")})

    codes = [await space.run(remove_child_dependency(space.keys, name)) for name in ("1", "none")]

    assert codes == [-5, -1]
