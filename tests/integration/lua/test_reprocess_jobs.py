from __future__ import annotations

from tests.integration.lua.keyspace import NOW, STEP, Keyspace, job

from oxcart import JobState, Queue
from oxcart._store.calls.moving import reprocess_all

FAILED = {"finishedOn": "5", "processedOn": "4", "failedReason": "boom", "atm": "1"}


async def test_batch_goes_back_oldest_first_whatever_the_priority(space: Keyspace) -> None:
    space.write({"failed": {"1": 1.0, "2": 2.0, "3": 3.0, "late": 99.0}, "wait": ["0"]})
    space.write({job_id: job(**FAILED, priority="5") for job_id in ("1", "2", "3", "late")})
    call = reprocess_all(space.keys, JobState.FAILED, count=2, until_ms=50)

    answers = [await space.run(call) for _ in range(3)]

    assert answers == [(2, True), (1, False), (0, False)]
    found = space.read()
    assert found["wait"] == ["3", "2", "1", "0"]
    assert found["failed"] == {"late": 99.0}
    assert found["1"] == job(atm="1", priority="5")
    assert space.events() == [("waiting", job_id, "failed") for job_id in "123"]


async def test_ids_without_a_readable_job_leave_the_set(space: Keyspace) -> None:
    space.write({"completed": {"ghost": 1.0, "bad": 2.0, "1": 3.0}, "bad": "a string", "1": job()})
    call = reprocess_all(space.keys, JobState.COMPLETED, count=10, until_ms=NOW)

    assert await space.run(call) == (1, False)

    assert space.read() == {"wait": ["1"], "1": job(), "bad": "a string", "marker": {"0": 0}}


async def test_retry_all_repeats_full_batches(space: Keyspace) -> None:
    ids = [f"j{number:04}" for number in range(2_000)]
    space.write({"failed": {job_id: float(number) for number, job_id in enumerate(ids)}})
    space.write({job_id: job(**FAILED) for job_id in ids})
    queue = Queue("q", prefix=space.keys.prefix, clock=space.clock, store=space.store)

    assert await queue.retry_all() == 2_000

    found = space.read()
    assert found["wait"] == ids[::-1]
    assert "failed" not in found


async def test_all_delayed_jobs_go_to_wait_soonest_first_whatever_their_priority(
    space: Keyspace,
) -> None:
    delayed = {"late": (NOW + 99) * STEP, "1": NOW * STEP, "2": NOW * STEP + 1}
    space.write({"delayed": delayed, **{key: job(delay="9", priority="5") for key in delayed}})
    call = reprocess_all(space.keys, JobState.DELAYED, count=10, until_ms=NOW)

    assert await space.run(call) == (2, False)

    found = space.read()
    assert found["wait"] == ["2", "1"]
    assert found["delayed"] == {"late": delayed["late"]}
    assert found["1"] == job(delay="9", priority="5")  # as BullMQ leaves them
    assert space.events() == [("waiting", job_id, "delayed") for job_id in "12"]
