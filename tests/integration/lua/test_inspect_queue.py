from __future__ import annotations

import pytest
from tests.integration.lua.keyspace import NOW, PRIORITY, STEP, Keyspace, Table, job

from oxcart import QueueAnomalies
from oxcart._store.calls.watching import find_anomalies

MINUTE = 60_000


async def found(space: Keyspace) -> QueueAnomalies:
    return await space.store.run(find_anomalies(space.keys, space.clock, 15 * MINUTE))


@pytest.mark.parametrize(
    ("before", "names"),
    [
        ({}, {}),
        (
            {"wait": ["3", "2", "1"], "1": job(), "2": job(name="other"), "3": job()},
            {"n": 2, "other": 1},
        ),
        ({"paused": ["1"], "1": job(name="set aside")}, {"set aside": 1}),
        ({"prioritized": {"1": 3.0 * PRIORITY}, "1": job()}, {"n": 1}),
        ({"delayed": {"1": float(NOW * STEP)}, "1": job(name="due")}, {"due": 1}),
        ({"delayed": {"1": float((NOW + 1) * STEP)}, "1": job(name="later")}, {}),
        (
            {"delayed": {"1": float((NOW + 1) * STEP)}, "1": job(**{"ox:unknown": "{}"})},
            {"n": 1},
        ),
        ({"active": ["1"], "1": job(), "failed": {"2": float(NOW)}, "2": job()}, {}),
        # Ids without a job, and with something else in its place.
        ({"wait": ["gone", "text", "1"], "text": "a string", "1": job()}, {"n": 1}),
    ],
)
async def test_names_of_jobs_that_wait_to_be_run_are_counted(
    space: Keyspace, before: Table, names: dict[str, int]
) -> None:
    space.write(before)

    assert names == (await found(space)).names


async def test_active_jobs_without_a_lock_are_counted(space: Keyspace) -> None:
    space.write({"active": ["2", "1", "3"], "1": job(), "2": job(), "3": job(), "2:lock": "token"})

    assert 2 == (await found(space)).unlocked_count


async def test_jobs_that_failed_lately_are_counted(space: Keyspace) -> None:
    lately, before = NOW - 15 * MINUTE, NOW - 15 * MINUTE - 1
    space.write({"failed": {"1": float(lately), "2": float(before), "3": float(NOW)}})

    assert 2 == (await found(space)).failed_count


async def test_no_more_jobs_than_a_sample_are_looked_at(space: Keyspace) -> None:
    ids = [f"j{number}" for number in range(2_000)]
    space.write({"wait": ids, "active": ids, **{job_id: job() for job_id in ids}})

    anomalies = await found(space)

    assert ({"n": 1_000}, 500) == (anomalies.names, anomalies.unlocked_count)


async def test_nothing_is_written(space: Keyspace) -> None:
    space.write({"wait": ["1"], "1": job(), "active": ["2"], "2": job()})
    before = space.read(without="")

    await found(space)

    assert before == space.read(without="")
