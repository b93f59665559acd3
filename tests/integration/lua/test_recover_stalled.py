from __future__ import annotations

import pytest
from tests.integration.lua.keyspace import NOW, Keyspace, Table, job, record

from oxcart._engine.queue_worker import BY_ATTEMPTS
from oxcart._store.calls.holding import recover_stalled
from oxcart._store.calls.registry import beat

REASON = "job stalled more than allowable limit"


async def check(space: Keyspace, *, max_stalled: int = 1, interval_ms: int = 30_000) -> list[str]:
    """Run a check although the last one was just now."""
    space.client.delete(space.keys.stalled_check)
    return await check_if_due(space, max_stalled=max_stalled, interval_ms=interval_ms)


async def check_if_due(
    space: Keyspace, *, max_stalled: int = 1, interval_ms: int = 30_000
) -> list[str]:
    call = recover_stalled(
        space.keys, clock=space.clock, interval_ms=interval_ms, max_stalled=max_stalled
    )
    recovered: list[str] = await space.run(call)
    return recovered


async def test_check_waits_for_heartbeats_after_the_server_was_away(space: Keyspace) -> None:
    asking = record()
    await space.run(beat(space.keys, asking, clock=space.clock, missed_ms=1_000))
    space.clock.ms += 11_000
    before = {"active": ["1"], "1": job(pb="other"), "stalled": {"1"}}
    space.write(before)
    call = recover_stalled(
        space.keys, clock=space.clock, interval_ms=500, max_stalled=1, holder=asking.holder
    )

    assert await space.run(call) is None
    untouched = space.read()
    await space.run(beat(space.keys, asking, clock=space.clock, missed_ms=1_000))

    assert before == untouched
    assert ["1"] == await space.run(call)


async def test_lockless_job_is_marked_first_and_recovered_by_the_second_check(
    space: Keyspace,
) -> None:
    space.write({"active": ["2", "1"], "1": job(), "2": job(), "2:lock": "tok"})

    first = await check(space)
    marked = space.read()["stalled"]
    second = await check(space)

    assert (first, marked, second) == ([], {"1", "2"}, ["1"])
    assert space.read() == {
        "active": ["2"], "2": job(), "2:lock": "tok", "1": job(stc="1"), "wait": ["1"],
        "marker": {"0": 0}, "stalled": {"2"}, "stalled-check": str(NOW),
    }  # fmt: skip
    assert space.events() == [("waiting", "1", "active"), ("stalled", "1")]


async def test_one_check_an_interval_runs_in_the_whole_fleet(space: Keyspace) -> None:
    space.write({"active": ["1"], "1": job(), "stalled": {"1"}})

    answers = [await check_if_due(space, interval_ms=60_000) for _ in range(3)]

    assert answers == [["1"], [], []]
    assert 50_000 < space.ttl_ms("stalled-check") <= 60_000


@pytest.mark.parametrize(
    ("recovered_before", "max_stalled", "is_failed"),
    [(None, 1, False), ("1", 1, True), ("1", 2, False), (None, 0, True), ("often", 1, False)],
)
async def test_job_recovered_too_often_is_to_be_failed_by_whoever_takes_it(
    space: Keyspace, recovered_before: str | None, max_stalled: int, is_failed: bool
) -> None:
    counted = {} if recovered_before is None else {"stc": recovered_before}
    space.write({"active": ["1"], "1": job(**counted), "stalled": {"1"}})

    assert await check(space, max_stalled=max_stalled) == ["1"]

    assert space.read()["1"].get("defa") == (REASON if is_failed else None)
    assert space.read()["wait"] == ["1"]


@pytest.mark.parametrize(
    ("pending_ms", "is_failed"), [(NOW, False), (NOW + 1_000, True)], ids=["pending", "succeeded"]
)
async def test_job_of_a_scheduler_is_failed_only_once_its_successor_is_made(
    space: Keyspace, pending_ms: int, is_failed: bool
) -> None:
    job_id = f"repeat:s:{NOW}"
    space.write({"active": [job_id], job_id: job(rjk="s", stc="9"), "stalled": {job_id}})
    space.write({"repeat": {"s": pending_ms}})

    await check(space)

    assert ("defa" in space.read()[job_id]) == is_failed


async def test_jobs_of_one_worker_that_vanished_count_nothing_and_are_to_run_alone(
    space: Keyspace,
) -> None:
    space.write(
        {
            "active": ["3", "2", "1"], "stalled": {"1", "2", "3"},
            "1": job(pb="a"), "2": job(pb="a"), "3": job(pb="b"),
        }
    )  # fmt: skip

    await check(space)

    found = space.read()
    beside = {"pb": "a", "ox:lost": "1", "ox:alone": "1"}
    assert [job(**beside), job(**beside), job(pb="b", stc="1")] == [found[key] for key in "123"]


async def test_job_of_a_worker_that_is_alive_counts_nothing(space: Keyspace) -> None:
    """Its lock ran out because the worker was cut off from the server: the job did nothing."""
    await space.run(beat(space.keys, record(name="a"), clock=space.clock, missed_ms=1_000))
    space.write({"active": ["1"], "1": job(pb="a"), "stalled": {"1"}})

    await check(space)

    assert job(pb="a", **{"ox:lost": "1"}) == space.read()["1"]


async def test_job_that_a_living_worker_loses_again_is_to_run_alone(space: Keyspace) -> None:
    """One of those beside it may keep every thread of the worker from running."""
    await space.run(beat(space.keys, record(name="a"), clock=space.clock, missed_ms=1_000))
    space.write({"active": ["1"], "1": job(pb="a", **{"ox:lost": "1"}), "stalled": {"1"}})

    await check(space)

    assert job(pb="a", **{"ox:lost": "2", "ox:alone": "1"}) == space.read()["1"]


async def test_job_of_a_worker_without_a_recent_heartbeat_counts(space: Keyspace) -> None:
    await space.run(beat(space.keys, record(name="a"), clock=space.clock, missed_ms=1_000))
    space.clock.ms += 11_000
    space.write({"active": ["1"], "1": job(pb="a"), "stalled": {"1"}})

    await check(space)

    assert job(pb="a", stc="1") == space.read()["1"]


async def test_job_of_a_scheduler_that_is_gone_is_not(space: Keyspace) -> None:
    space.write({"active": ["1"], "1": job(rjk="s", stc="9"), "stalled": {"1"}})

    await check(space)

    assert space.read()["1"]["defa"] == REASON


@pytest.mark.parametrize(
    ("fields", "is_failed"),
    [
        ({"opts": '{"attempts":3}'}, False),
        ({"opts": '{"attempts":3}', "stc": "1"}, False),
        ({"opts": '{"attempts":3}', "stc": "2"}, True),
        ({"opts": '{"attempts":3}', "stc": "1", "atm": "1"}, True),
        ({}, True),
        ({"opts": "{"}, True),
    ],
)
async def test_each_death_uses_up_an_attempt_where_that_is_wanted(
    space: Keyspace, fields: dict[str, str], is_failed: bool
) -> None:
    space.write({"active": ["1"], "1": {**job(), **fields}, "stalled": {"1"}})

    await check(space, max_stalled=BY_ATTEMPTS)

    assert is_failed == ("defa" in space.read()["1"])


@pytest.mark.parametrize("beside", [{}, {"bad": "a string"}, {"bad": {"a": 1}}])
async def test_id_without_a_readable_job_leaves_active_and_holds_nothing_up(
    space: Keyspace, beside: Table
) -> None:
    space.write({"active": ["bad", "1"], "stalled": {"bad", "1"}, "1": job(), **beside})

    recovered = await check(space)

    assert recovered == ["1"]
    found = space.read()
    assert (found["wait"], "active" in found) == (["1"], False)
    assert found.get("bad") == beside.get("bad")


async def test_marked_job_that_ended_meanwhile_is_left_alone(space: Keyspace) -> None:
    space.write({"stalled": {"1"}, "1": job(), "completed": {"1": 5}})

    assert await check(space) == []

    assert space.read() == {"1": job(), "completed": {"1": 5}, "stalled-check": str(NOW)}


async def test_recovered_jobs_wake_nobody_on_a_paused_queue(space: Keyspace) -> None:
    space.write({"active": ["1"], "1": job(), "stalled": {"1"}, "meta": {"paused": "1"}})

    await check(space)

    assert "marker" not in space.read()


async def test_many_active_jobs_are_marked(space: Keyspace) -> None:
    """More than one command could take."""
    ids = [f"j{number}" for number in range(12_000)]
    space.write({"active": ids})

    await check(space)

    assert space.read()["stalled"] == set(ids)


async def test_recovered_job_is_the_next_to_be_taken(space: Keyspace) -> None:
    space.write({"active": ["1"], "1": job(priority="5"), "stalled": {"1"}, "wait": ["3", "2"]})

    await check(space)

    assert space.read()["wait"] == ["3", "2", "1"]


async def test_check_trims_the_stream(space: Keyspace) -> None:
    space.write({"meta": {"opts.maxLenEvents": "100"}})
    pipeline = space.client.pipeline()
    for number in range(1_000):
        pipeline.xadd(space.keys.events, {"event": "old", "n": str(number)})
    pipeline.execute()

    await check(space)

    assert len(space.events()) < 300
