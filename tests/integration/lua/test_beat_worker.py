from __future__ import annotations

import pytest
from tests.integration.lua.keyspace import Keyspace, record
from tests.integration.lua.registering import OTHER, beat_of, registered

from oxcart._model.registry import RegisteredWorker
from oxcart._store.calls.registry import beat_for


async def test_heartbeat_finds_the_workers_that_miss_theirs(space: Keyspace) -> None:
    dead = record(holder=OTHER)
    await beat_of(space, dead)
    space.clock.ms += 2_399
    too_early = await beat_of(space, record())
    space.clock.ms += 1

    assert [] == too_early
    assert [RegisteredWorker(record=dead, beat_age_ms=2_400)] == await beat_of(space, record())


async def test_heartbeat_in_place_of_a_worker_keeps_it_and_revives_none_that_left(
    space: Keyspace,
) -> None:
    await beat_of(space, record())
    space.clock.ms += 5_000
    for holder in (record().holder, OTHER):
        await space.run(beat_for(space.keys, holder, clock=space.clock))

    assert [(record(), 0)] == [(one.record, one.beat_age_ms) for one in await registered(space)]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"holder": 1}'])
async def test_record_that_cannot_be_read_is_left_out(space: Keyspace, text: str) -> None:
    space.write({"oxcart:workers": {OTHER: text}, "oxcart:beats": {OTHER: float(space.clock.ms)}})
    space.clock.ms += 60_000

    assert [] == await beat_of(space, record())
    assert [record()] == [one.record for one in await registered(space)]
