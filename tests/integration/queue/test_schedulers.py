"""Schedulers through the public API of a queue."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import redis
from tests.integration.queue.hand import Hand

from oxcart import Deduplication, JobState, Queue, Schedule
from oxcart.errors import ConfigError, JobNotInState, PayloadError

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
SOON = Schedule.every("1h", offset="1ms")
"""The first job waits for the next full hour."""


async def test_scheduler_can_be_read_as_it_was_made(queue: Queue) -> None:
    schedule = Schedule.cron("0 9 * * mon-fri", tz="Europe/Madrid", limit=9)

    job = await queue.upsert_scheduler("mail:digest", schedule, "digest", {"to": "all"}, attempts=3)

    assert await queue.get_state(job.id) is JobState.DELAYED
    info = await queue.get_scheduler("mail:digest")
    assert info is not None
    assert info.next_at == schedule.next_after(datetime.now(UTC))
    assert (info.id, info.name, info.schedule, info.data) == (
        "mail:digest", "digest", schedule, {"to": "all"},
    )  # fmt: skip
    assert (info.options.attempts, info.iterations, info.problem) == (3, 1, None)
    assert await queue.count_schedulers() == 1
    assert await queue.get_schedulers() == [info]


async def test_returned_job_is_the_pending_one(queue: Queue) -> None:
    returned = await queue.upsert_scheduler("sch", SOON, "tick", [1], priority=4)

    read = await queue.get_job(returned.id)

    assert read is not None
    assert (read.id, read.name, read.data) == (returned.id, "tick", [1])
    assert (read.created_at_ms, read.delay_ms) == (returned.created_at_ms, returned.delay_ms)
    assert (read.priority, read.scheduler_id) == (returned.priority, returned.scheduler_id)


async def test_upserting_again_replaces_what_the_jobs_are_like(queue: Queue) -> None:
    first = await queue.upsert_scheduler("sch", SOON, "tick", {"v": 1})
    second = await queue.upsert_scheduler("sch", SOON, "tock", {"v": 2})

    assert first.id == second.id
    assert (await queue.get_counts()).delayed == 1
    again = await queue.get_job(first.id)
    assert again is not None
    assert (again.name, again.data) == ("tock", {"v": 2})


async def test_pending_job_of_a_paused_queue_is_replaced(queue: Queue) -> None:
    await queue.upsert_scheduler("sch", Schedule.every("1h"), "tick", {"v": 1})
    await queue.pause()

    job = await queue.upsert_scheduler("sch", Schedule.every("1h"), "tick", {"v": 2})

    assert [found.id for found in await queue.get_jobs(JobState.WAITING)] == [job.id]


async def test_immediate_pattern_is_due_at_once(queue: Queue) -> None:
    schedule = Schedule.cron("0 0 1 1 *", immediately=True)

    job = await queue.upsert_scheduler("sch", schedule, "tick")

    assert await queue.get_state(job.id) is JobState.WAITING


async def test_pattern_passes_over_a_time_that_has_a_job(
    queue: Queue, valkey: redis.Redis, prefix: str
) -> None:
    schedule = Schedule.cron("0 0 1 1 *")
    first = await queue.upsert_scheduler("sch", schedule, "tick")
    valkey.zrem(f"{prefix}:q:delayed", first.id)  # as if it had been promoted and run

    second = await queue.upsert_scheduler("sch", schedule, "tick")

    following = schedule.next_after(datetime.fromtimestamp(int(first.id[11:]) / 1_000, UTC))
    assert following is not None
    assert second.id == f"repeat:sch:{round(following.timestamp() * 1_000)}"


@pytest.mark.parametrize(
    "options",
    [
        {"job_id": "x"},
        {"delay": "1s"},
        {"timestamp": LONG_AGO},
        {"parent": "x"},
        {"deduplication": Deduplication(id="x")},
        {"expires": "1s"},
        {"attempts": -1},
    ],
)
async def test_option_that_makes_no_sense_is_refused(queue: Queue, options: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=next(iter(options))):
        await queue.upsert_scheduler("sch", SOON, "tick", **options)

    assert await queue.count_schedulers() == 0


async def test_schedule_that_is_over_is_refused(queue: Queue) -> None:
    with pytest.raises(ConfigError, match="end is"):
        await queue.upsert_scheduler("sch", Schedule.every("1s", end=LONG_AGO), "tick")
    in_an_hour = datetime.now(UTC) + timedelta(hours=1)
    leap_day = Schedule.cron("0 0 29 2 *", end=in_an_hour)
    with pytest.raises(ConfigError, match="no time before the schedule's end"):
        await queue.upsert_scheduler("sch", leap_day, "tick")

    assert await queue.count_schedulers() == 0


async def test_data_that_cannot_be_sent_is_refused(queue: Queue) -> None:
    with pytest.raises(PayloadError, match="size limit"):
        await queue.upsert_scheduler("sch", SOON, "tick", "x" * 100, size_limit=10)
    with pytest.raises(PayloadError):
        await queue.upsert_scheduler("sch", SOON, "tick", float("nan"))
    with pytest.raises(PayloadError, match="id"):
        await queue.upsert_scheduler("s\ud800", SOON, "tick")
    with pytest.raises(ConfigError, match="scheduler id"):
        await queue.upsert_scheduler("", SOON, "tick")

    assert await queue.count_schedulers() == 0


async def test_removed_scheduler_leaves_nothing(queue: Queue) -> None:
    job = await queue.upsert_scheduler("sch", SOON, "tick")

    assert await queue.remove_scheduler("sch")
    assert not await queue.remove_scheduler("sch")

    assert await queue.get_state(job.id) is JobState.UNKNOWN
    assert await queue.get_scheduler("sch") is None


@pytest.mark.parametrize("priority", [0, 3])
@pytest.mark.parametrize("schedule", [Schedule.every("1h"), SOON])
async def test_pending_job_is_neither_removed_nor_drained_nor_cleaned(
    queue: Queue, schedule: Schedule, priority: int
) -> None:
    job = await queue.upsert_scheduler("sch", schedule, "tick", priority=priority)
    await queue.add("other", priority=priority)
    await queue.add("other", delay="1h")
    state = await queue.get_state(job.id)

    with pytest.raises(JobNotInState, match="scheduler"):
        await queue.remove(job.id)
    for cleaned in (JobState.WAITING, JobState.DELAYED, JobState.PRIORITIZED):
        await queue.clean("0s", state=cleaned)
    await queue.drain(delayed=True)

    assert [found.id for found in await queue.get_jobs(state)] == [job.id]
    assert (await queue.get_counts()).pending == 1


async def test_pending_job_is_drained_with_the_rest_once_its_scheduler_is_gone(
    queue: Queue,
) -> None:
    await queue.upsert_scheduler("sch", Schedule.every("1h"), "tick")
    await queue.remove_scheduler("sch")

    await queue.drain()

    assert (await queue.get_counts()).pending == 0


async def test_jobs_of_schedulers_are_read_and_run_like_others(queue: Queue, hand: Hand) -> None:
    job = await queue.upsert_scheduler("sch", Schedule.every("1h"), "tick")

    assert await hand.take() == [job.id]
    await hand.fail(job.id)
    await queue.retry(job.id)
    assert await hand.take() == [job.id]
    await hand.complete(job.id)

    assert await queue.get_state(job.id) is JobState.COMPLETED


async def test_scheduler_can_be_upserted_with_the_options_that_were_read(
    queue: Queue, valkey: redis.Redis, prefix: str
) -> None:
    await queue.upsert_scheduler("sch", SOON, "tick", attempts=3)
    # As Node and bullmq-python write it.
    valkey.hset(f"{prefix}:q:repeat:sch", "opts", b'{"attempts":3,"fpof":true}')
    read = await queue.get_scheduler("sch")
    assert read is not None
    assert read.schedule is not None
    assert read.options.parent_on_failure == "fail"

    await queue.upsert_scheduler(
        "sch",
        read.schedule,
        read.name,
        attempts=read.options.attempts,
        parent_on_failure=read.options.parent_on_failure,
    )

    again = await queue.get_scheduler("sch")
    assert again is not None
    assert again.options == read.options


async def test_oldest_repeatable_entries_are_listed_and_can_be_removed(
    queue: Queue, valkey: redis.Redis, prefix: str
) -> None:
    pattern = "report:my-id:1700000000000:Europe/Berlin:0 9 * * *"
    every, broken = "tick::::60000", "odd::::not a pattern"
    valkey.zadd(f"{prefix}:q:repeat", {pattern: 3.0, every: 2.0, broken: 1.0})

    listed = await queue.get_schedulers()

    assert await queue.count_schedulers() == len(listed) == 3
    assert [one.id for one in listed] == [pattern, every, broken]
    assert [one.name for one in listed] == ["report", "tick", "odd"]
    first = listed[0].schedule
    assert first is not None
    assert (first.pattern, first.tz) == ("0 9 * * *", "Europe/Berlin")
    assert first.end == datetime.fromtimestamp(1_700_000_000, UTC)
    assert listed[0].is_legacy
    assert listed[1].schedule is not None
    assert listed[1].schedule.every_ms == 60_000
    assert listed[2].problem is not None
    assert await queue.get_scheduler(every) == listed[1]
    for one in listed:
        assert await queue.remove_scheduler(one.id)
    assert await queue.get_schedulers() == []
    assert await queue.count_schedulers() == 0
