from __future__ import annotations

import pytest
from tests.integration.lua.keyspace import NOW, Keyspace, Table, child, job

from oxcart._store.calls.sweeping import remove_stray_jobs

STATES: Table = {
    "wait": ["w"], "paused": ["s"], "active": ["a"], "prioritized": {"p": 1.0},
    "delayed": {"d": 1.0}, "completed": {"c": 1.0}, "failed": {"f": 1.0},
    "waiting-children": {"k": 1.0},
}  # fmt: skip


async def sweep(space: Keyspace, *, count: int = 100) -> list[str]:
    """Look at the whole key space; the ids removed."""
    cursor, found = "0", []
    while True:
        call = remove_stray_jobs(space.keys, cursor, count=count)
        cursor, removed = await space.run(call)
        found += removed
        if cursor == "0":
            return found


@pytest.mark.parametrize("count", [1, 100])
async def test_jobs_in_no_state_go_with_all_their_keys_and_no_other(
    space: Keyspace, count: int
) -> None:
    kept = STATES | {job_id: job() for job_id in "wsapdcfk"}
    kept |= {"a:lock": "tok", "c:logs": ["row"], "k:dependencies": {"x"}}
    strays = {"1": job(deid="x"), "1:logs": ["row"], "de:x": "1", "2": job(), "2:processed": {"x"}}
    space.write(kept | strays)

    assert sorted(await sweep(space, count=count)) == ["1", "2"]

    assert space.read() == kept


async def test_parts_of_jobs_that_are_gone_go(space: Keyspace) -> None:
    parts = ("lock", "logs", "dependencies", "processed", "failed", "unsuccessful")
    space.write({f"gone:{part}": "x" for part in parts} | {f"repeat:s:{NOW}:lock": "x"})

    assert await sweep(space) == []

    assert space.read(without="") == {}


async def test_keys_of_the_queue_and_of_schedulers_stay_whatever_they_are_called(
    space: Keyspace,
) -> None:
    """BullMQ deletes the counts of failed jobs here."""
    kept: Table = {
        "metrics:failed": {"count": "1"}, "metrics:failed:data": ["1"], "de:lock": "9",
        "de:a:logs": "9", "dn:failed": {"jid": "9"}, "repeat": {"lock": 1.0, "a:failed": 1.0},
        "repeat:lock": {"name": "n"}, "repeat:a:failed": {"name": "n"}, "id": "9", "pc": "1",
        "meta": {"paused": "1"}, "limiter": "1", "stalled": {"x"}, "marker": {"0": 0},
        "oxcart:add-lock": "x",
    }  # fmt: skip
    space.write(kept)
    private = space.client.get(f"{space.keys.base}oxcart:add-lock")

    assert await sweep(space) == []

    del kept["oxcart:add-lock"]
    assert private == space.client.get(f"{space.keys.base}oxcart:add-lock")
    assert space.read(without="") == kept


async def test_parent_that_waited_for_a_stray_job_goes_on(space: Keyspace) -> None:
    space.write({"p": job(), "waiting-children": {"p": 1.0}, "1": child(space, "p")})
    space.write({"p:dependencies": {space.keys.job("1")}})

    assert await sweep(space) == ["1"]

    assert space.read() == {"p": job(), "wait": ["p"], "marker": {"0": 0}}


async def test_jobs_of_other_queues_stay(space: Keyspace) -> None:
    others = [space.beside(name) for name in ("qq", "q-2")]
    for other in others:
        other.write({"1": job()})

    assert await sweep(space) == []

    assert [other.read() for other in others] == [{"1": job()}] * 2
