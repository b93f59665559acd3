from __future__ import annotations

from tests.integration.lua.keyspace import NOW, Keyspace
from tests.integration.lua.schedulers import upsert

from oxcart._store.calls.scheduling import count_schedulers, get_scheduler, get_schedulers

OLDEST = "name:::UTC:0 9 * * *"


async def ids(
    space: Keyspace, *, start: int = 0, end: int = -1, ascending: bool = False
) -> list[str]:
    call = get_schedulers(space.keys, start=start, end=end, ascending=ascending)
    return [info.id for info in await space.run(call)]


async def test_pages_go_by_the_time_of_the_pending_job(space: Keyspace) -> None:
    for number, name in enumerate("abc"):
        space.write({f"repeat:{name}": {"name": "n", "every": "1000", "ic": "1"}})
        space.write({"repeat": {name: float(NOW + number)}})

    assert await ids(space) == ["c", "b", "a"]
    assert await ids(space, ascending=True) == ["a", "b", "c"]
    assert await ids(space, start=1, end=1, ascending=True) == ["b"]
    assert await ids(space, start=2) == ["a"]


async def test_entry_without_a_definition_is_removed_by_the_reader(space: Keyspace) -> None:
    await upsert(space)
    space.write({"repeat": {"ghost": 5.0, "other": 6.0}})

    assert await space.run(get_scheduler(space.keys, "other")) is None
    assert await ids(space) == ["sch"]
    assert space.read()["repeat"] == {"sch": NOW}
    assert await space.run(count_schedulers(space.keys)) == 1


async def test_entry_of_the_oldest_kind_never_had_a_definition_and_stays(space: Keyspace) -> None:
    space.write({"repeat": {OLDEST: 5.0}})

    assert await ids(space) == [OLDEST]
    assert space.read()["repeat"] == {OLDEST: 5.0}


async def test_definition_of_another_type_is_passed_over(space: Keyspace) -> None:
    space.write({"repeat": {"sch": 5.0}, "repeat:sch": "mine"})

    assert await ids(space) == []
    assert space.read() == {"repeat": {"sch": 5.0}, "repeat:sch": "mine"}


async def test_unknown_scheduler_is_none(space: Keyspace) -> None:
    assert await space.run(get_scheduler(space.keys, "sch")) is None
