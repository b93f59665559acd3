from __future__ import annotations

from tests.integration.lua.keyspace import NOW, Keyspace, Table, child, job

from oxcart._store.calls.flows import remove_unprocessed_children


def waiting_parent(*child_keys: str, **more: object) -> Table:
    """A parent that waits for children."""
    table: Table = {"p": job(), "waiting-children": {"p": NOW}, "p:dependencies": set(child_keys)}
    return table | more


async def test_pending_children_go_with_their_own_and_the_parent_goes_on(space: Keyspace) -> None:
    other = space.beside("down")
    grandchild = other.keys.job("g")
    space.write(waiting_parent(space.keys.job("1"), other.keys.job("2")))
    space.write({"1": child(space, "p"), "wait": ["1"]})
    other.write({"2": child(space, "p"), "waiting-children": {"2": NOW}})
    other.write({"2:dependencies": {grandchild}, "g": child(other, "2"), "delayed": {"g": 5.0}})

    assert await space.run(remove_unprocessed_children(space.keys, "p")) == (None, 2)

    assert space.read() == {"p": job(), "wait": ["p"], "marker": {"0": 0}}
    assert other.read() == {"marker": {"0": 0}}
    assert sorted(other.events())[:2] == [("removed", "2", "wait"), ("removed", "g", "delayed")]


async def test_running_failed_and_settled_children_stay(space: Keyspace) -> None:
    names = ("run", "failure", "w")
    settled = {space.keys.job("done"): "1"}
    space.write(waiting_parent(*map(space.keys.job, names), **{"p:processed": settled}))
    space.write({name: child(space, "p") for name in (*names, "done")})
    space.write({"active": ["run"], "run:lock": "tok", "failed": {"failure": 5.0}, "wait": ["w"]})

    assert await space.run(remove_unprocessed_children(space.keys, "p")) == (None, 1)

    found = space.read()
    assert found["p:dependencies"] == {space.keys.job("run"), space.keys.job("failure")}
    assert found["p:processed"] == settled
    assert found["waiting-children"] == {"p": NOW}
    assert "w" not in found
    assert {"run", "failure", "done"} <= found.keys()


async def test_child_stays_one_of_whose_own_children_runs(space: Keyspace) -> None:
    before = waiting_parent(space.keys.job("m")) | {
        "m": child(space, "p"), "waiting-children": {"p": NOW, "m": NOW},
        "m:dependencies": {space.keys.job("g")}, "g": child(space, "m"), "active": ["g"],
        "g:lock": "tok",
    }  # fmt: skip
    space.write(before)

    assert await space.run(remove_unprocessed_children(space.keys, "p")) == (None, 0)

    assert space.read(without="") == before


async def test_job_without_children_loses_none(space: Keyspace) -> None:
    before = {"p": job(), "wait": ["p"]}
    space.write(before)

    assert await space.run(remove_unprocessed_children(space.keys, "p")) == (None, 0)

    assert space.read(without="") == before


async def test_many_children_leave_the_others_in_their_order(space: Keyspace) -> None:
    names = [f"c{number}" for number in range(50)]
    others = [f"o{number}" for number in range(50)]
    mixed = [name for pair in zip(names, others, strict=True) for name in pair]
    space.write(waiting_parent(*map(space.keys.job, names)) | {"wait": mixed})
    space.write({name: child(space, "p") for name in names})

    assert await space.run(remove_unprocessed_children(space.keys, "p")) == (None, 50)

    assert space.read() == {"p": job(), "wait": [*others, "p"], "marker": {"0": 0}}
    removed = [event for event in space.events() if event[0] == "removed"]
    assert sorted(removed) == sorted(("removed", name, "wait") for name in names)


async def test_many_children_are_removed_in_parts(space: Keyspace) -> None:
    ids = [f"c{number}" for number in range(1_000)]
    space.write(waiting_parent(*map(space.keys.job, ids)))
    space.write({job_id: child(space, "p") for job_id in ids} | {"wait": ids})

    cursor: str | None = "0"
    counts = []
    while cursor is not None:
        call = remove_unprocessed_children(space.keys, "p", cursor, count=100, most=30)
        cursor, removed = await space.run(call)
        counts.append(removed)

    assert sum(counts) == 1_000
    assert max(counts) == 30
    assert space.read()["wait"] == ["p"]
