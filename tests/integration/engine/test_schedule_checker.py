"""Schedules whose chain has broken off go on, and end where they should."""

from __future__ import annotations

import json
import logging
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import redis

from oxcart import Queue, Schedule
from oxcart._engine.hold import Hold
from oxcart._engine.iterations import IterationMaker
from oxcart._engine.schedule_checker import GRACE_MS, ScheduleChecker
from oxcart._model.clock import ServerClock
from oxcart._model.outcome import Delayed
from oxcart._store.calls.stepping import TakenJob
from oxcart._wire.codec import read_job
from oxcart._wire.keys import QueueKeys


class Broken:
    """A queue whose worker takes jobs and dies before it makes the next one."""

    def __init__(self, client: redis.Redis, keys: QueueKeys, queue: Queue) -> None:
        self.client: Any = client
        self.keys = keys
        self.maker = IterationMaker(queue._store, keys, ServerClock())
        self.due: list[float] = []
        self.checker = ScheduleChecker(
            queue._store, keys, ServerClock(), self.maker, on_due=self.due.append
        )

    def take(self, job_id: str) -> None:
        """Take a job as such a worker does."""
        self.client.lrem(self.keys.wait, 0, job_id)
        self.client.zrem(self.keys.delayed, job_id)
        self.client.lpush(self.keys.active, job_id)
        taken_at = round(time.time() * 1_000) - GRACE_MS - 1
        self.client.hset(self.keys.job(job_id), "processedOn", taken_at)

    def make_due(self, scheduler_id: str, job_id: str) -> str:
        """Let a scheduler's pending job be due a minute ago; returns its id."""
        before = round(time.time()) * 1_000 - 60_000
        due_id = f"repeat:{scheduler_id}:{before}"
        self.client.rename(self.keys.job(job_id), self.keys.job(due_id))
        self.client.zadd(self.keys.repeat, {scheduler_id: before})
        self.client.zrem(self.keys.delayed, job_id)
        self.client.lrem(self.keys.wait, 0, job_id)
        options = json.loads(self.client.hget(self.keys.job(due_id), "opts"))
        if "prevMillis" in options:
            options["prevMillis"] = before
        self.client.hset(self.keys.job(due_id), "opts", json.dumps(options))
        return due_id

    def lose(self, job_id: str) -> None:
        """Remove a job by force, as nothing that knows schedulers does."""
        self.client.delete(self.keys.job(job_id))
        self.client.lrem(self.keys.active, 0, job_id)
        self.client.lrem(self.keys.wait, 0, job_id)

    async def check(self) -> bool:
        """Check although a worker has just done so."""
        self.client.delete(self.keys.private("check", "schedulers"))
        return await self.checker.check()

    def pending(self) -> list[str]:
        """The delayed jobs."""
        return [job_id.decode() for job_id in self.client.zrange(self.keys.delayed, 0, -1)]


@pytest.fixture
async def broken(queue: Queue, valkey: redis.Redis, prefix: str) -> Broken:
    return Broken(valkey, QueueKeys(prefix, "default"), queue)


async def test_interval_goes_on_without_the_worker_that_took_its_job(
    broken: Broken, queue: Queue, caplog: pytest.LogCaptureFixture
) -> None:
    job = await queue.upsert_scheduler("sch", Schedule.every("1h"), "tick", {"v": 1})
    broken.take(job.id)

    with caplog.at_level(logging.WARNING):
        assert await broken.check()
        assert await broken.check()

    [following] = broken.pending()
    assert int(following.rpartition(":")[2]) == int(job.id.rpartition(":")[2]) + 3_600_000
    assert caplog.text.count("scheduler.resumed") == 1
    assert broken.due == [int(following.rpartition(":")[2])]


async def test_pattern_goes_on_without_the_worker_that_took_its_job(
    broken: Broken, queue: Queue
) -> None:
    made = await queue.upsert_scheduler("sch", Schedule.cron("0 0 1 1 *"), "tick", priority=3)
    job_id = broken.make_due("sch", made.id)
    broken.take(job_id)

    await broken.check()

    assert [made.id] == broken.pending()
    following = await queue.get_job(made.id)
    assert following is not None
    assert following.priority == 3


async def test_job_that_is_gone_has_a_successor_like_the_definition(
    broken: Broken, queue: Queue
) -> None:
    job = await queue.upsert_scheduler(
        "sch", Schedule.every("1h", limit=9), "tick", {"v": 1}, attempts=4
    )
    broken.lose(job.id)

    await broken.check()

    [following] = broken.pending()
    found = await queue.get_job(following)
    assert found is not None
    assert (found.name, found.data, found.options.max_attempts) == ("tick", {"v": 1}, 4)
    assert b'"count":2' in broken.client.hget(broken.keys.job(following), "opts")


@pytest.mark.parametrize("is_gone", [False, True])
@pytest.mark.parametrize(
    "schedule",
    [
        Schedule.every("1h", limit=1),
        Schedule.cron("0 0 1 1 *", limit=1),
        Schedule.every("1h", end=datetime.now(UTC) + timedelta(days=300)),
    ],
)
async def test_schedule_that_is_over_stays_so(
    broken: Broken, queue: Queue, schedule: Schedule, is_gone: bool
) -> None:
    made = await queue.upsert_scheduler("sch", schedule, "tick")
    job_id = broken.make_due("sch", made.id)
    broken.take(job_id)
    if schedule.end is not None:  # let it be over
        options = broken.client.hget(broken.keys.job(job_id), "opts")
        end = str(round(schedule.end.timestamp() * 1_000)).encode()
        assert end in options
        broken.client.hset(broken.keys.job(job_id), "opts", options.replace(end, b"1000"))
        broken.client.hset(broken.keys.scheduler("sch"), "endDate", "1000")
    if is_gone:
        broken.lose(job_id)

    await broken.check()

    assert [] == broken.pending()


async def test_removed_scheduler_stays_removed(broken: Broken, queue: Queue) -> None:
    job = await queue.upsert_scheduler("sch", Schedule.every("1h"), "tick")
    broken.take(job.id)
    await queue.remove_scheduler("sch")

    assert not await broken.check()
    assert [] == broken.pending()


async def test_key_of_another_type_is_logged_once(
    broken: Broken, queue: Queue, caplog: pytest.LogCaptureFixture
) -> None:
    broken.client.set(broken.keys.repeat, "mine")

    with caplog.at_level(logging.WARNING):
        assert not await broken.check()
        assert not await broken.check()

    assert caplog.text.count("scheduler.check_failed") == 1
    broken.client.delete(broken.keys.repeat)


async def test_job_of_a_zone_unknown_here_is_left_to_other_workers(
    broken: Broken, queue: Queue, caplog: pytest.LogCaptureFixture
) -> None:
    schedule = Schedule.cron("0 0 1 1 *", tz="Europe/Madrid")
    made = await queue.upsert_scheduler("sch", schedule, "tick")
    job_id = broken.make_due("sch", made.id)
    broken.take(job_id)
    options = broken.client.hget(broken.keys.job(job_id), "opts")
    broken.client.hset(
        broken.keys.job(job_id), "opts", options.replace(b"Europe/Madrid", b"Europe/Atlantis")
    )

    with caplog.at_level(logging.WARNING):
        instead = [await _make_next(broken, job_id) for _ in range(3)]
    broken.client.hset(broken.keys.job(job_id), "opts", options)
    await broken.check()  # by a worker that knows it
    broken.client.hset(
        broken.keys.job(job_id), "opts", options.replace(b"Europe/Madrid", b"Europe/Atlantis")
    )

    assert all(isinstance(outcome, Delayed) for outcome in instead)
    assert caplog.text.count("scheduler.put_off") == 1
    assert "Europe/Atlantis" in caplog.text
    assert [made.id] == broken.pending()
    assert await _make_next(broken, job_id) is None


async def _make_next(broken: Broken, job_id: str) -> Any:
    raw: Any = broken.client.hgetall(broken.keys.job(job_id))
    hold = Hold("default", job_id, "token", time.monotonic() + 60, lambda _: None)
    return await broken.maker.make_next(TakenJob(job_id, "token", raw), read_job(job_id, raw), hold)
