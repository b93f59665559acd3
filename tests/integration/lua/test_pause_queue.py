from __future__ import annotations

from tests.integration.lua.keyspace import NOW, Keyspace, job

from oxcart._store.calls.switching import is_paused, pause


async def test_lists_stay_and_the_marker_goes(space: Keyspace) -> None:
    before = {"wait": ["1"], "1": job(), "active": ["2"], "2": job()}
    space.write(before | {"marker": {"0": 0, "1": NOW}})

    await space.run(pause(space.keys))

    assert space.read(without="events") == before | {"meta": {"paused": "1"}}
    assert space.events() == [("paused",)]


async def test_pausing_twice_is_the_same(space: Keyspace) -> None:
    await space.run(pause(space.keys))
    await space.run(pause(space.keys))

    assert await space.run(is_paused(space.keys))
