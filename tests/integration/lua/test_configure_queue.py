from __future__ import annotations

from typing import Any

import pytest
from tests.integration.lua.keyspace import PRIORITY, Keyspace, Table, job

from oxcart import RateLimit
from oxcart._store.calls.limits import set_concurrency, set_rate_limit

WAITING: Table = {"wait": ["1"], "1": job()}
LIMIT = RateLimit(max=10, per="2s")


def meta_of(space: Keyspace) -> Any:
    return space.read(without="events").get("meta")


async def test_limits_are_written_and_cleared_by_their_own_fields(space: Keyspace) -> None:
    space.write({"meta": {"version": "v", "max": "5"}})

    await space.run(set_concurrency(space.keys, 3))
    await space.run(set_rate_limit(space.keys, LIMIT))
    both = meta_of(space)
    await space.run(set_rate_limit(space.keys, None))
    one = meta_of(space)
    await space.run(set_concurrency(space.keys, None))

    assert both == {"version": "v", "concurrency": "3", "max": "10", "duration": "2000"}
    assert one == {"version": "v", "concurrency": "3"}
    assert meta_of(space) == {"version": "v"}


@pytest.mark.parametrize("ready", [WAITING, {"prioritized": {"1": PRIORITY}, "1": job()}])
async def test_worker_is_woken_when_jobs_may_be_taken_now(space: Keyspace, ready: Table) -> None:
    space.write(ready | {"active": ["a"], "a": job(), "meta": {"concurrency": "1"}})

    await space.run(set_concurrency(space.keys, 2))

    assert space.read()["marker"] == {"0": 0}


@pytest.mark.parametrize(
    "before",
    [
        {},
        WAITING | {"meta": {"paused": "1"}},
        WAITING | {"active": ["a", "b"], "a": job(), "b": job()},
    ],
)
async def test_nobody_is_woken_for_nothing(space: Keyspace, before: Table) -> None:
    space.write(before)

    await space.run(set_concurrency(space.keys, 2))

    assert "marker" not in space.read()
