from __future__ import annotations

from tests.integration.lua.keyspace import Keyspace

from oxcart._model.links import RateLimit
from oxcart._store.calls.limits import count_use

TWO = RateLimit(max=2, per="1h")
HOUR_MS = 3_600_000


async def use(space: Keyspace, job_id: str, name: str = "ada@example.com") -> int:
    wait_ms: int = await space.run(count_use(space.keys, name, job_id, TWO, clock=space.clock))
    return wait_ms


async def test_uses_are_counted_up_to_the_limit_and_the_window_moves(space: Keyspace) -> None:
    assert await use(space, "1") == 0
    space.clock.ms += 1_000
    assert await use(space, "2") == 0
    space.clock.ms += 1_000

    assert await use(space, "3") == HOUR_MS - 2_000
    assert await use(space, "3", "bob@example.com") == 0

    space.clock.ms += HOUR_MS - 2_000
    assert await use(space, "3") == 0
    assert await use(space, "4") == 1_000


async def test_repeated_use_counts_once_and_is_never_refused(space: Keyspace) -> None:
    for _ in range(3):
        assert await use(space, "1") == 0
    assert await use(space, "2") == 0
    assert await use(space, "1") == 0


async def test_key_hides_the_name_and_expires(space: Keyspace) -> None:
    await use(space, "1")

    (found,) = space.client.keys(f"{space.keys.base}*")
    key = found if isinstance(found, str) else found.decode()
    assert key.startswith(f"{space.keys.base}oxcart:uses-")
    assert "ada" not in key
    assert 0 < space.client.pttl(key) <= HOUR_MS
