from __future__ import annotations

from tests.integration.lua.keyspace import Keyspace, record
from tests.integration.lua.registering import beat_of, registered

from oxcart._store.calls.registry import remove_worker


async def test_removed_worker_is_gone(space: Keyspace) -> None:
    await beat_of(space, record())
    for _ in range(2):
        await space.run(remove_worker(space.keys, record().holder))

    assert [] == await registered(space)
    assert 0 == space.client.exists(space.keys.workers, space.keys.beats)
