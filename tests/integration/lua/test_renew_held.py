from __future__ import annotations

from tests.integration.lua.keyspace import Keyspace, job

from oxcart._store.calls.holding import renew_held

HOLDER = "0123456789abcdef"


async def test_locks_of_the_worker_are_renewed_and_no_others(space: Keyspace) -> None:
    table = {
        "active": ["4", "3", "2", "1"], "1": job(), "1:lock": f"{HOLDER}:1", "2:lock": "other:1",
        "3:lock": ["no", "lock"], "waiting:lock": f"{HOLDER}:9",
    }  # fmt: skip
    space.write(table | {"stalled": {"1", "2", "4"}})

    count = await space.run(renew_held(space.keys, HOLDER, lock_ms=20_000))

    assert count == 1
    assert space.read() == table | {"stalled": {"2", "4"}}
    assert 0 < space.ttl_ms("1:lock") <= 20_000
    assert [-1, -1] == [space.ttl_ms("2:lock"), space.ttl_ms("waiting:lock")]


async def test_lock_that_ran_out_is_not_made_again(space: Keyspace) -> None:
    space.write({"active": ["1"], "1": job()})

    assert await space.run(renew_held(space.keys, HOLDER, lock_ms=20_000)) == 0

    assert "1:lock" not in space.read()


async def test_queue_without_active_jobs_is_no_trouble(space: Keyspace) -> None:
    assert await space.run(renew_held(space.keys, HOLDER, lock_ms=20_000)) == 0
