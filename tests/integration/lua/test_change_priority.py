from __future__ import annotations

import pytest
from tests.integration.lua.keyspace import PRIORITY, Keyspace, Table, job

from oxcart._store.calls.moving import change_priority

READY = {"wait": ["2", "1", "0"], "0": job(), "1": job(), "2": job()}
RANKED = {"prioritized": {"1": 5 * PRIORITY + 1, "2": 5 * PRIORITY + 2}, "pc": "2"}
WOKEN = {"marker": {"0": 0}}


@pytest.mark.parametrize(
    ("priority", "lifo", "place"),
    [
        (0, False, {"wait": ["1", "2", "0"], **WOKEN}),
        (0, True, {"wait": ["2", "0", "1"], **WOKEN}),
        (
            3,
            False,
            {"wait": ["2", "0"], "prioritized": {"1": 3 * PRIORITY + 1}, "pc": "1", **WOKEN},
        ),
        (3, True, {"wait": ["2", "0"], "prioritized": {"1": 3 * PRIORITY}}),
    ],
)
async def test_waiting_job_changes_its_place(
    space: Keyspace, priority: int, lifo: bool, place: Table
) -> None:
    space.write(READY)

    assert await space.run(change_priority(space.keys, "1", priority, lifo=lifo)) == 0

    assert space.read() == READY | {"1": job(priority=str(priority))} | place
    assert space.events() == []


@pytest.mark.parametrize(
    ("priority", "lifo", "ranked", "rest"),
    [
        (0, False, {"2": 5 * PRIORITY + 2}, {"wait": ["1"], **WOKEN}),
        (5, False, {"1": 5 * PRIORITY + 3, "2": 5 * PRIORITY + 2}, {"pc": "3", **WOKEN}),
        (5, True, {"1": 5 * PRIORITY, "2": 5 * PRIORITY + 2}, {}),
    ],
)
async def test_job_with_a_priority_changes_its_place(
    space: Keyspace, priority: int, lifo: bool, ranked: dict[str, float], rest: Table
) -> None:
    space.write(RANKED | {"1": job(priority="5"), "2": job(priority="5")})

    await space.run(change_priority(space.keys, "1", priority, lifo=lifo))

    found = space.read()
    assert found.pop("1") == job(priority=str(priority))
    assert found == {"2": job(priority="5"), **RANKED, "prioritized": ranked, **rest}


@pytest.mark.parametrize("state", ["active", "delayed", "completed"])
async def test_job_elsewhere_only_gets_the_field(space: Keyspace, state: str) -> None:
    held: Table = {state: ["1"] if state == "active" else {"1": 5.0}}
    space.write(held | {"1": job()})

    assert await space.run(change_priority(space.keys, "1", 4, lifo=False)) == 0

    assert space.read() == held | {"1": job(priority="4")}


async def test_nobody_is_woken_while_the_queue_is_paused(space: Keyspace) -> None:
    space.write({"wait": ["1"], "1": job(), "meta": {"paused": "1"}})

    await space.run(change_priority(space.keys, "1", 4, lifo=False))

    assert "marker" not in space.read()


async def test_job_that_is_gone_is_not_made_again(space: Keyspace) -> None:
    assert await space.run(change_priority(space.keys, "1", 4, lifo=False)) == -1

    assert space.read(without="") == {}
