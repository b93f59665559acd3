from __future__ import annotations

from tests.integration.lua.keyspace import Keyspace

from oxcart import JobState
from oxcart._store.calls.reading import get_states


async def test_state_is_where_the_id_stands(space: Keyspace) -> None:
    space.write({"wait": ["w"], "paused": ["p"], "active": ["a"]})
    space.write({"delayed": {"d": 1.0}, "prioritized": {"r": 1.0}, "waiting-children": {"c": 1.0}})
    space.write({"completed": {"done": 1.0}, "failed": {"f": 1.0}})
    ids = ["w", "p", "a", "d", "r", "c", "done", "f", "nope"]

    states = await space.run(get_states(space.keys, ids))

    assert dict(zip(ids, states, strict=True)) == {
        "w": JobState.WAITING, "p": JobState.WAITING, "a": JobState.ACTIVE,
        "d": JobState.DELAYED, "r": JobState.PRIORITIZED, "c": JobState.WAITING_CHILDREN,
        "done": JobState.COMPLETED, "f": JobState.FAILED, "nope": JobState.UNKNOWN,
    }  # fmt: skip


async def test_id_in_two_places_counts_as_finished(space: Keyspace) -> None:
    """The order in which BullMQ looks."""
    space.write({"wait": ["1"], "completed": {"1": 1.0}, "failed": {"1": 1.0}})

    assert await space.run(get_states(space.keys, ["1"])) == [JobState.COMPLETED]


async def test_no_ids_have_no_states(space: Keyspace) -> None:
    assert await space.run(get_states(space.keys, [])) == []
