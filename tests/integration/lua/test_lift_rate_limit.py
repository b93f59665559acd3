from __future__ import annotations

import pytest
from tests.integration.lua.keyspace import PRIORITY, Keyspace, Table, job

from oxcart._store.calls.limits import lift_rate_limit, limit_manually


@pytest.mark.parametrize(
    "ready", [{"wait": ["1"], "1": job()}, {"prioritized": {"1": PRIORITY}, "1": job()}]
)
async def test_limit_is_gone_and_a_worker_woken(space: Keyspace, ready: Table) -> None:
    space.write(ready)
    await space.run(limit_manually(space.keys, 60_000))

    assert await space.run(lift_rate_limit(space.keys)) is True

    assert space.read() == ready | {"marker": {"0": 0}}


@pytest.mark.parametrize("before", [{}, {"wait": ["1"], "1": job(), "meta": {"paused": "1"}}])
async def test_nobody_is_woken_for_nothing(space: Keyspace, before: Table) -> None:
    space.write(before | {"limiter": "3"})

    assert await space.run(lift_rate_limit(space.keys)) is True

    assert space.read(without="events") == before


async def test_without_a_limit_nothing_changes(space: Keyspace) -> None:
    before: Table = {"wait": ["1"], "1": job()}
    space.write(before)

    assert await space.run(lift_rate_limit(space.keys)) is False

    assert space.read(without="") == before
