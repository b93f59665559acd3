"""Schedulers with running workers: each job has its successor before it runs."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from typing import Any

import pytest
import redis
from tests.integration.engine.running import QUICK, is_in, running, until
from tests.support import ValkeyServer, wait_until

from oxcart import App, JobState, Queue, Retry, Schedule, Worker, current_job
from oxcart._engine.hold import Hold
from oxcart._engine.iterations import IterationMaker
from oxcart._model.clock import ServerClock
from oxcart._model.outcome import Delayed, Lost
from oxcart._store.calls.stepping import TakenJob
from oxcart._store.location import Location
from oxcart._store.store import Store
from oxcart._wire.codec import read_job
from oxcart._wire.keys import QueueKeys

LEGACY = "f533ac4ee9cc0c1487f815c9476e8091"


async def test_job_runs_at_every_interval(app: App, queue: Queue) -> None:
    payloads: list[int] = []

    @app.job(queue="default")
    async def tick(number: int) -> None:
        payloads.append(number)

    await queue.upsert_scheduler("sch", Schedule.every("20ms"), "tick", {"number": 7})

    async with running(app.worker()):
        await wait_until(lambda: len(payloads) >= 5, what="five jobs to run")

    assert set(payloads) == {7}
    info = await queue.get_scheduler("sch")
    assert info is not None
    assert info.iterations > 5


async def test_job_runs_at_every_second_of_a_pattern(app: App, queue: Queue) -> None:
    started: list[float] = []

    @app.job(queue="default")
    async def tick() -> None:
        started.append(time.time())

    await queue.upsert_scheduler("sch", Schedule.cron("* * * * * *"), "tick")

    async with running(app.worker()):
        await wait_until(lambda: len(started) >= 2, what="two jobs to run")

    assert int(started[1]) > int(started[0])


async def test_successor_is_there_before_the_job_runs(app: App, queue: Queue) -> None:
    seen: list[int] = []

    @app.job(queue="default")
    async def tick() -> None:
        seen.append((await queue.get_counts()).delayed)

    job = await queue.upsert_scheduler("sch", Schedule.every("1h"), "tick")

    async with running(app.worker()):
        await is_in(queue, job, JobState.COMPLETED)

    assert seen == [1]


async def test_job_that_fails_and_is_retried_has_one_successor(app: App, queue: Queue) -> None:
    attempts: list[int] = []

    @app.job(queue="default")
    async def tick() -> None:
        attempts.append(current_job().attempt)
        raise Retry

    job = await queue.upsert_scheduler("sch", Schedule.every("1h"), "tick", attempts=3)

    async with running(app.worker()):
        await is_in(queue, job, JobState.FAILED)

    assert attempts == [1, 2, 3]
    assert (await queue.get_counts()).delayed == 1


async def test_job_without_a_handler_has_a_successor(app: App, queue: Queue) -> None:
    @app.job(queue="default")
    async def other() -> None: ...

    job = await queue.upsert_scheduler("sch", Schedule.every("1h"), "unknown")

    async with running(app.worker(unknown_job_timeout="0s")):
        await is_in(queue, job, JobState.FAILED)

    assert (await queue.get_counts()).delayed == 1


async def test_scheduler_stops_at_its_limit(app: App, queue: Queue) -> None:
    @app.job(queue="default")
    async def tick() -> None: ...

    await queue.upsert_scheduler("sch", Schedule.every("10ms", limit=3), "tick")

    async def is_over() -> bool:
        counts = await queue.get_counts()
        return counts.completed == 3 and counts.pending == counts.active == 0

    async with running(app.worker()):
        await until(is_over, what="three jobs to run and none to follow")

    info = await queue.get_scheduler("sch")
    assert info is not None
    assert info.iterations == 3


async def test_job_of_a_removed_scheduler_runs_once_more(app: App, queue: Queue) -> None:
    @app.job(queue="default")
    async def tick() -> None: ...

    job = await queue.upsert_scheduler("sch", Schedule.every("1h"), "tick")
    await queue.remove_scheduler("sch")

    async with running(app.worker()):
        await is_in(queue, job, JobState.COMPLETED)

    assert (await queue.get_counts()).pending == 0


@pytest.mark.parametrize("options", ["{}", '{"repeat":{"pattern":"bogus"}}', '{"repeat":7}'])
async def test_job_whose_schedule_cannot_be_read_runs(
    app: App,
    queue: Queue,
    valkey: redis.Redis,
    prefix: str,
    options: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    @app.job(queue="default")
    async def tick() -> None: ...

    job = await queue.upsert_scheduler("sch", Schedule.every("1h"), "tick")
    valkey.hset(f"{prefix}:default:{job.id}", "opts", options)

    with caplog.at_level(logging.ERROR, "oxcart.schedulers"):
        async with running(app.worker()):
            await is_in(queue, job, JobState.COMPLETED)

    assert "scheduler.has_no_next_job" in caplog.text
    assert "scheduler_id=sch" in caplog.text


async def test_repeatable_job_of_version_5_runs_again_with_its_payload(
    app: App, queue: Queue, valkey: redis.Redis, prefix: str
) -> None:
    payloads: list[int] = []

    @app.job(queue="default")
    async def legacy(a: int) -> None:
        payloads.append(a)

    await queue.open()
    due = round(time.time() * 1_000)
    taken, base = f"repeat:{LEGACY}:{due}", f"{prefix}:default:"
    options = {
        "attempts": 0, "jobId": taken, "prevMillis": due, "timestamp": due, "delay": 0,
        "repeat": {"count": 1, "every": 50},
    }  # fmt: skip
    valkey.hset(f"{base}repeat:{LEGACY}", mapping={"name": "legacy", "every": "50"})
    valkey.zadd(f"{base}repeat", {LEGACY: due})
    fields: dict[Any, Any] = {
        "name": "legacy", "data": '{"a":1}', "opts": json.dumps(options), "rjk": LEGACY,
        "timestamp": due, "delay": 0, "priority": 0,
    }  # fmt: skip
    valkey.hset(f"{base}{taken}", mapping=fields)
    valkey.lpush(f"{base}wait", taken)

    async with running(app.worker()):
        await wait_until(lambda: len(payloads) >= 3, what="three jobs to run")

    assert set(payloads) == {1}
    stored: Any = valkey.hgetall(f"{base}repeat:{LEGACY}")
    assert stored == {b"name": b"legacy", b"every": b"50"}
    info = await queue.get_scheduler(LEGACY)
    assert info is not None
    assert info.is_legacy


async def test_stalled_job_of_a_scheduler_is_recovered_for_ever(
    app: App, queue: Queue, valkey: redis.Redis, prefix: str
) -> None:
    @app.job(queue="default")
    async def tick() -> None: ...

    job = await queue.upsert_scheduler("sch", Schedule.every("1h"), "tick")
    base = f"{prefix}:default:"
    # A worker died with it twice before: once too often for any other job.
    valkey.lrem(f"{base}wait", 0, job.id)
    valkey.lpush(f"{base}active", job.id)
    valkey.sadd(f"{base}stalled", job.id)
    valkey.hset(f"{base}{job.id}", "stc", "5")

    async with running(app.worker(**QUICK)):
        await is_in(queue, job, JobState.COMPLETED)


def _taken(client: redis.Redis, keys: QueueKeys, job_id: str) -> TakenJob:
    raw: Any = client.hgetall(keys.job(job_id))
    return TakenJob(job_id, "token", raw)


def _hold(job_id: str, *, seconds: float) -> Hold:
    return Hold("default", job_id, "token", time.monotonic() + seconds, lambda _: None)


async def test_server_that_is_away_is_waited_for(own_valkey: ValkeyServer) -> None:
    async with Queue("default", redis_url=own_valkey.url) as queue:
        job = await queue.upsert_scheduler("sch", Schedule.every("1h"), "tick")
        client = redis.Redis.from_url(own_valkey.url)
        keys = QueueKeys("bull", "default")
        taken = _taken(client, keys, job.id)
        client.lrem(keys.wait, 0, job.id)
        client.close()
        store = Store(Location.at(own_valkey.url))
        maker = IterationMaker(store, keys, ServerClock())
        own_valkey.kill()

        async with asyncio.TaskGroup() as group:
            making = group.create_task(
                maker.make_next(taken, read_job(job.id, taken.fields), _hold(job.id, seconds=60))
            )
            await asyncio.to_thread(own_valkey.restart)
            assert await making is None

        assert (await queue.get_counts()).delayed == 1
        await store.aclose()


async def test_job_that_is_lost_meanwhile_does_not_run(own_valkey: ValkeyServer) -> None:
    async with Queue("default", redis_url=own_valkey.url) as queue:
        job = await queue.upsert_scheduler("sch", Schedule.every("1h"), "tick")
        client = redis.Redis.from_url(own_valkey.url)
        taken = _taken(client, QueueKeys("bull", "default"), job.id)
        client.close()
    store = Store(Location.at(own_valkey.url))
    maker = IterationMaker(store, QueueKeys("bull", "default"), ServerClock())
    own_valkey.kill()

    instead = await maker.make_next(
        taken, read_job(job.id, taken.fields), _hold(job.id, seconds=0.2)
    )

    assert instead == Lost()
    await store.aclose()


async def test_job_waits_when_the_server_refuses_to_make_its_successor(
    queue: Queue, valkey: redis.Redis, prefix: str
) -> None:
    job = await queue.upsert_scheduler("sch", Schedule.every("1h"), "tick")
    keys = QueueKeys(prefix, "default")
    taken = _taken(valkey, keys, job.id)
    valkey.set(keys.delayed, "mine")
    maker = IterationMaker(queue._store, keys, ServerClock())

    instead = await maker.make_next(
        taken, read_job(job.id, taken.fields), _hold(job.id, seconds=60)
    )

    assert isinstance(instead, Delayed)
    valkey.delete(keys.delayed)


async def test_worker_of_one_function_makes_successors_too(
    valkey_url: str, prefix: str, queue: Queue
) -> None:
    ran: list[str] = []

    async def handle(_: object) -> None:
        ran.append(current_job().job_id)

    await queue.upsert_scheduler("a:b", Schedule.every("20ms"), "tick")
    async with running(Worker("default", handle, redis_url=valkey_url, prefix=prefix)):
        await wait_until(lambda: len(ran) >= 3, what="three jobs to run")

    assert len(ran) == len(set(ran))
    assert all(job_id.startswith("repeat:a:b:") for job_id in ran)
