from __future__ import annotations

import pytest
from tests.integration.lua.keyspace import NOW, Keyspace, Table, job

from oxcart._store.calls.holding import Ran, find_held, recover_held

REASON = "job stalled more than allowable limit"
HOLDER = "0123456789abcdef"


async def recover(space: Keyspace, *, max_stalled: int = 1, how: Ran = "alone") -> list[str]:
    """Find what the holder holds, and give it back."""
    _, found = await space.run(find_held(space.keys, HOLDER, offset=0, count=1_000))
    call = recover_held(space.keys, found, max_stalled=max_stalled, how=how)
    recovered: list[str] = await space.run(call)
    return recovered


async def test_what_the_worker_held_goes_back_and_what_others_hold_stays(space: Keyspace) -> None:
    others = {"3": job(), "3:lock": "fedcba9876543210:1", "4": job()}
    space.write(
        {
            "active": ["4", "3", "2", "1"],
            "1": job(), "1:lock": f"{HOLDER}aa:7", "2": job(priority="3"),
            "2:lock": f"{HOLDER}bb:1", "stalled": {"1", "3", "4"}, **others,
        }
    )  # fmt: skip

    recovered = await recover(space)

    assert recovered == ["2", "1"]
    assert space.read() == {
        "active": ["4", "3"], "1": job(stc="1"), "2": job(priority="3", stc="1"),
        "wait": ["2", "1"], "marker": {"0": 0}, "stalled": {"3", "4"}, **others,
    }  # fmt: skip
    assert space.events() == [
        ("waiting", "2", "active"), ("stalled", "2"), ("waiting", "1", "active"), ("stalled", "1"),
    ]  # fmt: skip


async def test_again_there_is_nothing_left_to_give_back(space: Keyspace) -> None:
    space.write({"active": ["1"], "1": job(), "1:lock": f"{HOLDER}:1"})

    assert [["1"], []] == [await recover(space), await recover(space)]

    assert space.read()["1"]["stc"] == "1"


@pytest.mark.parametrize(
    ("recovered_before", "max_stalled", "is_failed"),
    [(None, 1, False), ("1", 1, True), ("1", 2, False), (None, 0, True), ("often", 1, False)],
)
async def test_job_recovered_too_often_is_to_be_failed_by_whoever_takes_it(
    space: Keyspace, recovered_before: str | None, max_stalled: int, is_failed: bool
) -> None:
    counted = {} if recovered_before is None else {"stc": recovered_before}
    space.write({"active": ["1"], "1": job(**counted), "1:lock": f"{HOLDER}:1"})

    assert await recover(space, max_stalled=max_stalled) == ["1"]

    assert space.read()["1"].get("defa") == (REASON if is_failed else None)


@pytest.mark.parametrize(
    ("pending_ms", "is_failed"), [(NOW, False), (NOW + 1_000, True)], ids=["pending", "succeeded"]
)
async def test_job_of_a_scheduler_is_failed_only_once_its_successor_is_made(
    space: Keyspace, pending_ms: int, is_failed: bool
) -> None:
    job_id = f"repeat:s:{NOW}"
    space.write({"active": [job_id], job_id: job(rjk="s", stc="1"), f"{job_id}:lock": HOLDER})
    space.write({"repeat": {"s": pending_ms}})

    await recover(space)

    assert ("defa" in space.read()[job_id]) == is_failed


async def test_jobs_that_ran_beside_others_count_nothing_and_are_to_run_alone(
    space: Keyspace,
) -> None:
    space.write({"active": ["1"], "1": job(stc="1"), "1:lock": f"{HOLDER}:1"})

    await recover(space, how="beside")

    assert job(stc="1", **{"ox:lost": "1", "ox:alone": "1"}) == space.read()["1"]


async def test_job_that_is_lost_again_and_again_beside_others_is_failed_in_the_end(
    space: Keyspace,
) -> None:
    space.write({"active": ["1"], "1": job(**{"ox:lost": "10"}), "1:lock": f"{HOLDER}:1"})

    await recover(space, how="beside")

    assert (
        f"{REASON}: its worker was lost 11 times while it ran beside other jobs"
        == (space.read()["1"]["defa"])
    )


@pytest.mark.parametrize(
    "lock",
    [{}, {"1:lock": ["a", "list"]}, {"1:lock": f"x{HOLDER}"}, {"1:lock": HOLDER[:-1]}],
    ids=["none", "another type", "not at its start", "a part"],
)
async def test_job_without_the_workers_lock_is_left_to_the_stalled_check(
    space: Keyspace, lock: Table
) -> None:
    before = {"active": ["1"], "1": job(), **lock}
    space.write(before)

    assert await recover(space) == []

    assert space.read() == before


@pytest.mark.parametrize("beside", [{}, {"bad": "a string"}])
async def test_id_without_a_readable_job_leaves_active_and_holds_nothing_up(
    space: Keyspace, beside: Table
) -> None:
    space.write({"active": ["bad", "1"], "1": job(), **beside})
    space.write({"bad:lock": f"{HOLDER}:1", "1:lock": f"{HOLDER}:2"})

    assert await recover(space) == ["1"]

    found = space.read()
    assert (found["wait"], "active" in found, "bad:lock" in found) == (["1"], False, False)


async def test_jobs_given_back_wake_nobody_on_a_paused_queue(space: Keyspace) -> None:
    space.write({"active": ["1"], "1": job(), "1:lock": f"{HOLDER}:1", "meta": {"paused": "1"}})

    await recover(space)

    assert "marker" not in space.read()
