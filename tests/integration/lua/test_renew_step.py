from __future__ import annotations

import pytest
from tests.integration.lua.keyspace import Keyspace, job
from tests.integration.lua.steps import TOKEN, send

from oxcart._store.calls.holding import renew_step


async def renewed(space: Keyspace, sequence: int, worker_id: str = "w") -> int:
    call = renew_step(space.keys, worker_id, sequence=sequence, lock_ms=90_000)
    count: int = await space.run(call)
    return count


async def test_locks_of_the_last_step_are_renewed_and_it_is_remembered_for_longer(
    space: Keyspace,
) -> None:
    space.write({"wait": ["3", "2", "1"], "1": job(), "2": job(), "3": job()})
    await send(space, take=2, sequence=7)
    space.write({"stalled": {"1", "2", "3"}})
    remembered = space.keys.private("step", "w").removeprefix(space.keys.base)
    space.client.pexpire(space.keys.base + remembered, 1_000)

    assert await renewed(space, 7) == 2

    assert 30_000 < space.ttl_ms("1:lock") <= 90_000
    assert 30_000 < space.ttl_ms("2:lock") <= 90_000
    assert 30_000 < space.ttl_ms(remembered) <= 60_000
    found = space.read()
    assert found["stalled"] == {"3"}
    assert "3:lock" not in found


async def test_lock_that_ran_out_or_is_held_by_another_is_left_alone(space: Keyspace) -> None:
    space.write({"wait": ["3", "2", "1"], "1": job(), "2": job(), "3": job()})
    await send(space, take=3, sequence=7)
    space.client.delete(space.keys.base + "1:lock")
    space.write({"2:lock": "another"})

    assert await renewed(space, 7) == 1

    found = space.read()
    assert "1:lock" not in found
    assert (found["2:lock"], space.ttl_ms("2:lock")) == ("another", -1)
    assert found["3:lock"] == TOKEN


@pytest.mark.parametrize(("sequence", "worker_id"), [(6, "w"), (8, "w"), (7, "another")])
async def test_step_that_is_not_the_last_one_changes_nothing(
    space: Keyspace, sequence: int, worker_id: str
) -> None:
    space.write({"wait": ["1"], "1": job()})
    await send(space, take=1, sequence=7)

    assert await renewed(space, sequence, worker_id) == -1

    assert space.ttl_ms("1:lock") <= 30_000
