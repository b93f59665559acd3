"""A server that forgets scripts, loses everything, or holds what it should not."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
import redis
from tests.faults.aftermath import Aftermath
from tests.faults.conftest import StartWorker
from tests.partition import picture_of
from tests.support import ValkeyServer, wait_until

from oxcart import JobSpec, Queue

CONCURRENCY = 8
CALM_PER_S = 100
"""Commands a second, those in scripts included, that a worker with short locks may cause."""


@pytest.fixture
async def queue(own_valkey: ValkeyServer, prefix: str) -> AsyncIterator[Queue]:
    async with Queue("q", redis_url=own_valkey.url, prefix=prefix) as opened:
        yield opened


async def add_jobs(queue: Queue, count: int, *, ms: int) -> list[str]:
    jobs = await queue.add_many([JobSpec(name="work", data={"ms": ms})] * count)
    return [job.id for job in jobs]


async def all_done(aftermath: Aftermath, count: int, *, queue: str = "q") -> None:
    await wait_until(
        lambda: aftermath.completed_count(queue) >= count,
        within=20,
        what=f"{count} jobs of {queue} to end",
    )


async def commands_in_a_second(client: redis.Redis) -> int:
    """How many commands the server ran within one second."""
    before = command_count(client)
    started = time.monotonic()
    await wait_until(lambda: time.monotonic() > started + 1, what="a second to pass")
    return command_count(client) - before


def command_count(client: redis.Redis) -> int:
    stats: Any = client.info("stats")
    return int(stats["total_commands_processed"])


@pytest.mark.parametrize("count", [300, pytest.param(5_000, marks=pytest.mark.slow)])
async def test_server_that_keeps_forgetting_the_scripts_costs_no_job(
    queue: Queue,
    client: redis.Redis,
    start_worker: StartWorker,
    aftermath: Aftermath,
    count: int,
) -> None:
    start_worker()
    job_ids = []

    for _ in range(count // 10):
        job_ids += await add_jobs(queue, 8, ms=2)
        client.script_flush()
        async with asyncio.TaskGroup() as group:
            adding = [group.create_task(queue.add("work", {"ms": 2})) for _ in range(2)]
            client.script_flush()
        job_ids += [task.result().id for task in adding]
    await all_done(aftermath, count)

    aftermath.check_all_completed(job_ids, extra_runs=0)


async def test_worker_outlives_the_loss_of_all_data_and_stays_calm(
    queue: Queue, client: redis.Redis, start_worker: StartWorker, aftermath: Aftermath
) -> None:
    await add_jobs(queue, 30, ms=400)
    worker = start_worker()
    await wait_until(
        lambda: len(aftermath.ledger.lines("start")) >= CONCURRENCY, what="jobs to run"
    )

    client.flushall()
    await wait_until(
        lambda: any("lock_lost" in line for line in worker.log_lines()), what="the loss to be seen"
    )
    commands = await commands_in_a_second(client)
    await queue.add("work", {"ms": 1}, job_id="afterwards")
    await all_done(aftermath, 1)

    assert worker.is_alive
    assert CALM_PER_S >= commands
    assert CONCURRENCY * 4 >= len(worker.log_lines())
    assert {"afterwards": "completed"} == aftermath.partition().states


@pytest.mark.parametrize("key", ["delayed", "events", "meta"])
async def test_queue_with_a_broken_key_backs_off_while_others_go_on_and_heals(
    own_valkey: ValkeyServer,
    prefix: str,
    client: redis.Redis,
    start_worker: StartWorker,
    aftermath: Aftermath,
    key: str,
) -> None:
    client.set(f"{prefix}:bad:{key}", "not what it should be")
    worker = start_worker(queues={"bad": 4, "good": 4})

    await wait_until(lambda: refusals(client) >= 5, what="the bad queue to be tried")
    async with Queue("good", redis_url=own_valkey.url, prefix=prefix) as good:
        good_ids = await add_jobs(good, 100, ms=2)
        await all_done(aftermath, 100, queue="good")
    log_lines = worker.log_lines()
    client.delete(f"{prefix}:bad:{key}")
    async with Queue("bad", redis_url=own_valkey.url, prefix=prefix) as bad:
        bad_ids = await add_jobs(bad, 10, ms=2)
        await all_done(aftermath, 10, queue="bad")

    assert 12 >= len(log_lines)
    aftermath.check_all_completed(good_ids, extra_runs=0, queue="good")
    aftermath.check_all_completed(bad_ids, extra_runs=0, queue="bad")


async def test_job_whose_end_could_not_be_written_is_run_again_once_the_queue_heals(
    queue: Queue, prefix: str, client: redis.Redis, start_worker: StartWorker, aftermath: Aftermath
) -> None:
    [job_id] = await add_jobs(queue, 1, ms=300)
    start_worker()
    await wait_until(lambda: aftermath.ledger.lines("start"), what="the job to begin")

    client.rename(f"{prefix}:q:events", f"{prefix}:kept")
    client.set(f"{prefix}:q:events", "not what it should be")
    await wait_until(lambda: refusals(client) >= 2, what="the end to be refused")
    client.rename(f"{prefix}:kept", f"{prefix}:q:events")
    await all_done(aftermath, 1)

    aftermath.check_all_completed([job_id], extra_runs=1)


@pytest.mark.parametrize("key", ["delayed", "prioritized", "active", "completed", "events"])
async def test_jobs_of_a_queue_with_a_broken_key_stay_where_they_are(
    queue: Queue, prefix: str, client: redis.Redis, start_worker: StartWorker, key: str
) -> None:
    job_ids = await add_jobs(queue, 4, ms=2)
    client.delete(f"{prefix}:q:{key}")
    client.set(f"{prefix}:q:{key}", "not what it should be")
    start_worker()

    await wait_until(lambda: refusals(client) >= 3, what="the queue to be tried")

    assert dict.fromkeys(job_ids, "wait") == picture_of(client, prefix, "q").states


def refusals(client: redis.Redis) -> int:
    """How many commands failed because a key holds something else than they need."""
    stats: Any = client.info("errorstats")
    return int(stats.get("errorstat_WRONGTYPE", {"count": 0})["count"])
