from __future__ import annotations

from typing import Any

from tests.integration.lua.keyspace import Keyspace

from oxcart._store.calls.sweeping import remove_private_keys


async def test_keys_of_our_own_are_removed_and_no_other(space: Keyspace) -> None:
    client: Any = space.client
    base = space.keys.base
    ours = [f"{base}oxcart:add-{number}" for number in range(50)] + [f"{base}oxcart:step-x"]
    others = [f"{base}oxcart:workers", f"{base}oxcart:beats", f"{base}x", f"other{base}oxcart:y"]
    for key in ours + others:
        client.set(key, "1")

    cursor, calls = "0", 0
    while calls == 0 or cursor != "0":
        cursor = await space.run(remove_private_keys(space.keys, cursor, count=10))
        calls += 1

    assert sum(client.exists(key) for key in ours) == 0
    assert sum(client.exists(key) for key in others) == len(others)
    client.delete(*others)
