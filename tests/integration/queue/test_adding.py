"""Adding jobs."""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import redis
from tests.support import ValkeyServer
from tests.twins import Api

from oxcart import (
    Backoff,
    JobOptions,
    JobSpec,
    JobState,
    Queue,
    Retention,
    Timeouts,
    exponential,
)
from oxcart._model.ids import RESERVED_IDS
from oxcart.errors import ConfigError, PayloadError, StoreTimeout, StoreUnavailable


async def test_added_job_can_be_read_back_as_it_was_given(queue: Queue) -> None:
    job = await queue.add(
        "resize",
        {"id": 7, "text": "ü☃\u0000"},
        attempts=4,
        backoff=exponential("2s", jitter=0.5),
        keep_completed=Retention(count=10, age="1h"),
        stacktrace_limit=2,
        log_limit=3,
    )

    read = await queue.get_job(job.id)

    assert read is not None
    assert ("resize", {"id": 7, "text": "ü☃\u0000"}, 4) == (read.name, read.data, read.max_attempts)
    assert exponential("2s", jitter=0.5) == read.options.backoff
    assert read.options.keep_completed is not None
    assert (10, 3600) == (
        read.options.keep_completed.count,
        read.options.keep_completed.age_seconds,
    )
    assert (2, 3) == (read.options.stacktrace_limit, read.options.log_limit)
    assert read.created_at_ms == job.created_at_ms


async def test_no_data_is_an_empty_object_and_none_in_a_spec_is_null(queue: Queue) -> None:
    empty = await queue.add("n")
    null = await queue.add_spec(JobSpec(name="n", data=None))

    assert {} == (await empty.refresh()).data
    assert (await null.refresh()).data is None


async def test_options_decide_where_a_job_goes(queue: Queue) -> None:
    plain = await queue.add("n")
    ranked = await queue.add("n", priority=3)
    late = await queue.add("n", delay="1h")
    dated = await queue.add("n", delay=datetime.now(UTC) + timedelta(hours=1))

    states = [await job.state() for job in (plain, ranked, late, dated)]

    assert [JobState.WAITING, JobState.PRIORITIZED, JobState.DELAYED, JobState.DELAYED] == states
    dated_delay_ms = (await dated.refresh()).delay_ms
    assert 3_590_000 < dated_delay_ms <= 3_601_000


async def test_lifo_job_is_next(queue: Queue, hand: Any) -> None:
    await queue.add("first")
    last = await queue.add("last", lifo=True)

    assert [last.id] == await hand.take()


async def test_id_that_is_there_already_adds_nothing(queue: Queue) -> None:
    first = await queue.add("n", {"v": 1}, job_id="order-7")
    second = await queue.add("n", {"v": 2}, job_id="order-7")

    assert (True, False) == (first.is_new, second.is_new)
    assert {"v": 1} == (await second.refresh()).data
    assert 1 == (await queue.get_counts()).waiting


@pytest.mark.parametrize(
    "job_id", [*sorted(RESERVED_IDS), "1", "-5", "0", "a:b", "0:x", "", "x" * 201, "a\nb"]
)
async def test_id_that_would_harm_the_queue_is_refused_and_finds_nothing(
    queue: Queue, job_id: str
) -> None:
    await queue.add("n", job_id="bystander")

    with pytest.raises(ConfigError, match="job id"):
        await queue.add("n", job_id=job_id)

    if not job_id.lstrip("-").isdigit():
        assert await queue.get_job(job_id) is None
        assert JobState.UNKNOWN == await queue.get_state(job_id)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"priority": 2_097_152}, "priority"),
        ({"priority": -1}, "priority"),
        ({"priority": 1.5}, "priority"),
        ({"attempts": -1}, "attempts"),
        ({"delay": "10"}, "delay"),
        ({"delay": timedelta(seconds=-1)}, "delay"),
        ({"delay": datetime(2030, 1, 1)}, "time zone"),  # noqa: DTZ001  # naive on purpose
        ({"size_limit": True}, "size_limit"),
    ],
)
async def test_wrong_option_is_refused_by_name(
    queue: Queue, options: dict[str, Any], named: str
) -> None:
    with pytest.raises(ConfigError, match=named):
        await queue.add("n", **options)

    assert 0 == (await queue.get_counts()).pending


@pytest.mark.parametrize("data", [{"x": math.nan}, [math.inf], {"x": object()}, {1: {2, object()}}])
async def test_data_that_json_cannot_hold_is_refused(queue: Queue, data: Any) -> None:
    with pytest.raises(PayloadError):
        await queue.add("n", data)

    assert 0 == (await queue.get_counts()).pending


async def test_data_over_its_size_limit_is_refused(queue: Queue) -> None:
    with pytest.raises(PayloadError, match="size limit of 10"):
        await queue.add("n", {"text": "x" * 10}, size_limit=10)


async def test_add_many_keeps_the_order_beyond_one_batch(queue: Queue) -> None:
    specs = [JobSpec(name="n", data={"i": i}) for i in range(2_500)]

    jobs = await queue.add_many(specs)

    assert [str(i + 1) for i in range(2_500)] == [job.id for job in jobs]
    assert 2_500 == (await queue.get_counts()).waiting


async def test_add_many_takes_a_sequence_that_cannot_be_sliced(queue: Queue) -> None:
    jobs = await queue.add_many(deque([JobSpec(name="a"), JobSpec(name="b")]))

    assert ["a", "b"] == [job.name for job in jobs]


async def test_add_many_with_one_bad_job_adds_none(queue: Queue) -> None:
    specs = [JobSpec(name="n"), JobSpec(name="n", data={"x": math.nan})]

    with pytest.raises(PayloadError):
        await queue.add_many(specs)

    assert 0 == (await queue.get_counts()).waiting


async def test_concurrent_adds_share_calls_and_each_gets_its_own_job(
    own_valkey: Any, prefix: str
) -> None:
    async with Queue("q", redis_url=own_valkey.url, prefix=prefix) as shared:
        await shared.add("warm-up")
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(shared.add("n", {"i": i})) for i in range(200)]
        client = redis.Redis.from_url(own_valkey.url)
        stats: Any = client.info("commandstats")
        client.close()

    for i, task in enumerate(tasks):
        assert {"i": i} == task.result().data
    assert 200 == len({task.result().id for task in tasks})
    assert stats["cmdstat_evalsha"]["calls"] <= 6


@pytest.mark.parametrize("api", ["asyncio"], indirect=True)
async def test_cancelled_adder_harms_nobody_else(queue: Queue) -> None:
    await queue.add("warm-up")
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(queue.add("n", {"i": i})) for i in range(50)]
        await asyncio.sleep(0)
        for task in tasks[::5]:
            task.cancel()

    kept = [task.result() for i, task in enumerate(tasks) if i % 5]
    assert 40 == len({job.id for job in kept})
    assert "n" == (await queue.add("n")).name


async def test_server_that_is_not_there_is_told_quickly(api: Api, prefix: str) -> None:
    started = time.monotonic()

    async with api.Queue("q", redis_url="redis://127.0.0.1:1/0", prefix=prefix) as queue:
        with pytest.raises(StoreUnavailable, match="cannot be reached"):
            await queue.add("n")

    assert time.monotonic() - started < 3


async def test_server_that_does_not_answer_is_told_in_the_time_that_was_set(
    api: Api, own_valkey: ValkeyServer, prefix: str
) -> None:
    limits = Timeouts(connect="1s", command="1s")
    async with api.Queue("q", redis_url=own_valkey.url, prefix=prefix, timeouts=limits) as queue:
        await queue.add("n")
        with own_valkey.stopped():
            started = time.monotonic()
            with pytest.raises(StoreTimeout, match="did not answer in time"):
                await queue.add("n")
            with pytest.raises(StoreTimeout, match="did not answer in time"):
                await queue.get_counts()
            took_s = time.monotonic() - started

        assert "n" == (await queue.add("n")).name

    assert took_s < 5  # one call alone would take as long with the time that is usual


def test_options_are_values() -> None:
    assert JobOptions(priority=2) == JobOptions(priority=2)
    assert hash(JobOptions()) == hash(JobOptions())


async def test_hour_that_comes_twice_is_told_apart(queue: Queue) -> None:
    first = datetime(2027, 10, 31, 2, 30, tzinfo=ZoneInfo("Europe/Berlin"))
    second = first.replace(fold=1)  # an hour later, and yet equal to the first

    jobs = [await queue.add("work", timestamp=instant) for instant in (first, second)]

    assert jobs[1].created_at_ms - jobs[0].created_at_ms == 3_600_000


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"jobId": "x"}, "no job option 'jobId'; did you mean 'job_id'"),
        ({"removeOnComplete": True}, "did you mean 'keep_completed'"),
        ({"failParentOnFailure": True}, "did you mean 'parent_on_failure'"),
        ({"prioritty": 3}, "did you mean 'priority'"),
        ({"xyzzy": 1}, "no job option 'xyzzy'; there are: attempts, "),
        ({"keep_completed": True}, "keep_completed is True; it must be a Retention"),
        ({"backoff": "1s"}, "backoff is '1s'; it must be a Backoff"),
        ({"deduplication": {"id": "x"}}, "must be a Deduplication or str"),
        ({"parent": "p"}, "parent is 'p'; it must be a ParentRef"),
    ],
)
async def test_wrong_option_is_refused_with_what_was_meant(
    queue: Queue, options: dict[str, Any], problem: str
) -> None:
    with pytest.raises(ConfigError, match=problem):
        await queue.add("n", **options)

    assert 0 == (await queue.get_counts()).pending


async def test_custom_backoff_is_read_back(queue: Queue, valkey: redis.Redis, prefix: str) -> None:
    backoff = Backoff(kind="custom", delay_ms=70)

    job = await queue.add("n", attempts=3, backoff=backoff)

    stored: Any = valkey.hget(f"{prefix}:q:{job.id}", "opts")
    assert b'"backoff":{"type":"custom","delay":70}' in stored
    found = await queue.get_job(job.id)
    assert found is not None
    assert found.options.backoff == backoff
    with pytest.raises(ConfigError, match="backoff kind is empty"):
        Backoff(kind="")
