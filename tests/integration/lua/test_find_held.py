from __future__ import annotations

from typing import Any

import pytest
from tests.integration.lua.keyspace import Keyspace, Table

from oxcart._engine import recovery
from oxcart._store.calls.holding import find_held

HOLDER = "0123456789abcdef"


async def find(space: Keyspace, *, offset: int = 0, count: int = 1_000) -> Any:
    return await space.run(find_held(space.keys, HOLDER, offset=offset, count=count))


async def test_what_the_worker_holds_is_found_the_oldest_in_each_portion(space: Keyspace) -> None:
    space.write({"active": ["5", "4", "3", "2", "1"]})
    space.write({f"{job_id}:lock": f"{HOLDER}aa:{job_id}" for job_id in ("1", "2", "4", "5")})
    space.write({"3:lock": "fedcba9876543210:1"})

    assert (5, [(job_id, f"{HOLDER}aa:{job_id}") for job_id in ("5", "4", "2", "1")]) == (
        await find(space)
    )
    assert (2, [("2", f"{HOLDER}aa:2"), ("1", f"{HOLDER}aa:1")]) == await find(space, count=2)
    assert (2, [("4", f"{HOLDER}aa:4")]) == await find(space, offset=2, count=2)
    assert (1, [("5", f"{HOLDER}aa:5")]) == await find(space, offset=4, count=2)
    assert (0, []) == await find(space, offset=5)


@pytest.mark.parametrize(
    "lock",
    [{}, {"1:lock": ["a", "list"]}, {"1:lock": f"x{HOLDER}"}, {"1:lock": HOLDER[:-1]}],
    ids=["none", "another type", "not at its start", "a part"],
)
async def test_job_without_the_workers_lock_is_not_found(space: Keyspace, lock: Table) -> None:
    space.write({"active": ["1"], **lock})

    assert (1, []) == await find(space)


async def test_worker_of_many_jobs_among_many_more_is_looked_through_in_portions(
    space: Keyspace,
) -> None:
    pipeline: Any = space.client.pipeline()
    for number in range(6_000):
        pipeline.lpush(space.keys.active, f"j{number}")
        if number % 3 == 0:
            pipeline.set(f"{space.keys.base}j{number}:lock", f"{HOLDER}:{number}")
    pipeline.execute()

    procedure = recovery.find_all_held(space.keys.prefix, ["q"], HOLDER)
    held = await recovery.run(space.store, procedure)

    assert {f"j{number}" for number in range(0, 6_000, 3)} == {job.id for job in held}
    assert 2_000 == len(held)
