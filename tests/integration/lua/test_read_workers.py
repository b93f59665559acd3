from __future__ import annotations

from tests.integration.lua.keyspace import Keyspace, record
from tests.integration.lua.registering import OTHER, beat_of, registered

from oxcart._model.registry import RegisteredWorker


async def test_registered_workers_are_read_with_the_age_of_their_heartbeats(
    space: Keyspace,
) -> None:
    first, second = record(name="a", build="7f3"), record(holder=OTHER, job_names=None)
    await beat_of(space, first)
    space.clock.ms += 1_500
    await beat_of(space, second)

    assert [
        RegisteredWorker(record=second, beat_age_ms=0),
        RegisteredWorker(record=first, beat_age_ms=1_500),
    ] == await registered(space)
    assert 0 < space.ttl_ms("oxcart:workers") <= 24 * 3_600_000
    assert 0 < space.ttl_ms("oxcart:beats") <= 24 * 3_600_000
