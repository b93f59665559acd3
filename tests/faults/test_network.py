"""Connections that break, stand still or lie between a worker and the server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import redis
from tests.faults.aftermath import Aftermath
from tests.faults.conftest import StartWorker
from tests.faults.proxy import FaultProxy
from tests.support import ValkeyServer, wait_until

from oxcart import JobSpec, Queue, Timeouts
from oxcart.errors import StoreTimeout

CONCURRENCY = 8
AGAIN_S = 12
"""How soon work must go on after a broken connection: a block, its margin, and some slack."""


@pytest.fixture
async def proxy(own_valkey: ValkeyServer) -> AsyncIterator[FaultProxy]:
    async with FaultProxy(own_valkey.url).running() as running:
        yield running


@pytest.fixture
async def queue(own_valkey: ValkeyServer, prefix: str) -> AsyncIterator[Queue]:
    """The queue, reached without the proxy."""
    async with Queue("q", redis_url=own_valkey.url, prefix=prefix) as opened:
        yield opened


async def add_jobs(queue: Queue, count: int, *, ms: int) -> list[str]:
    jobs = await queue.add_many([JobSpec(name="work", data={"ms": ms})] * count)
    return [job.id for job in jobs]


async def goes_on(aftermath: Aftermath, count: int) -> None:
    """Wait until so many more jobs are completed than now."""
    wanted = aftermath.completed_count() + count
    await wait_until(
        lambda: aftermath.completed_count() >= wanted, within=AGAIN_S, what="work to go on"
    )


async def all_done(aftermath: Aftermath, count: int, *, within: float = 30) -> None:
    await wait_until(
        lambda: aftermath.completed_count() >= count, within=within, what=f"{count} jobs to end"
    )


async def begun(aftermath: Aftermath, count: int) -> None:
    await wait_until(
        lambda: len(aftermath.ledger.lines("start")) >= count, what=f"{count} runs to begin"
    )


@pytest.mark.parametrize("rounds", [8, pytest.param(60, marks=pytest.mark.slow)])
async def test_work_goes_on_each_time_the_server_drops_all_connections(
    queue: Queue,
    client: redis.Redis,
    start_worker: StartWorker,
    aftermath: Aftermath,
    rounds: int,
) -> None:
    job_ids = await add_jobs(queue, rounds * 40, ms=10)
    start_worker()

    for _ in range(rounds):
        await goes_on(aftermath, 20)
        client.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    await all_done(aftermath, len(job_ids))

    # A cut costs no run: steps are sent again, and locks outlive it.
    aftermath.check_all_completed(job_ids, extra_runs=0)


@pytest.mark.parametrize("rounds", [8, pytest.param(60, marks=pytest.mark.slow)])
async def test_work_goes_on_each_time_the_network_resets_all_connections(
    queue: Queue, proxy: FaultProxy, start_worker: StartWorker, aftermath: Aftermath, rounds: int
) -> None:
    job_ids = await add_jobs(queue, rounds * 40, ms=10)
    start_worker(url=proxy.url)

    for _ in range(rounds):
        await goes_on(aftermath, 20)
        proxy.cut()
    await all_done(aftermath, len(job_ids))

    aftermath.check_all_completed(job_ids, extra_runs=0)


async def test_idle_worker_notices_half_open_connections(
    queue: Queue, proxy: FaultProxy, start_worker: StartWorker, aftermath: Aftermath
) -> None:
    first = await add_jobs(queue, 5, ms=1)
    start_worker(url=proxy.url, stalled_interval="1h")  # nothing but the wait for work can notice
    await all_done(aftermath, 5)

    proxy.half_open()
    more = await add_jobs(queue, 5, ms=1)
    await all_done(aftermath, 10, within=AGAIN_S)

    aftermath.check_all_completed(first + more, extra_runs=0)


async def test_busy_worker_notices_half_open_connections(
    queue: Queue, proxy: FaultProxy, start_worker: StartWorker, aftermath: Aftermath
) -> None:
    job_ids = await add_jobs(queue, 200, ms=10)
    start_worker(url=proxy.url)
    await goes_on(aftermath, 50)

    proxy.half_open()
    await goes_on(aftermath, 50)
    await all_done(aftermath, 200)

    aftermath.check_all_completed(job_ids, extra_runs=CONCURRENCY)


async def test_jobs_survive_a_network_that_stands_still_longer_than_their_locks(
    queue: Queue,
    client: redis.Redis,
    proxy: FaultProxy,
    start_worker: StartWorker,
    aftermath: Aftermath,
    prefix: str,
) -> None:
    job_ids = await add_jobs(queue, 40, ms=300)
    start_worker(url=proxy.url, lock="2s")
    await begun(aftermath, CONCURRENCY)

    proxy.stall()
    await wait_until(
        lambda: not list(client.scan_iter(f"{prefix}:q:*:lock")), what="the locks to run out"
    )
    proxy.resume()
    await all_done(aftermath, 40)

    # Again run: what was running, and what was taken by a step whose reply was held back.
    aftermath.check_all_completed(job_ids, extra_runs=2 * CONCURRENCY)


async def test_job_whose_adding_was_not_confirmed_is_not_added_twice(
    client: redis.Redis, proxy: FaultProxy, aftermath: Aftermath, prefix: str
) -> None:
    async with Queue("q", redis_url=proxy.url, prefix=prefix) as queue:
        first = await queue.add("work")

        proxy.hold_replies()
        async with asyncio.TaskGroup() as group:
            adding = group.create_task(queue.add("work"))
            await wait_until(lambda: client.llen(f"{prefix}:q:wait") == 2, what="the job to stand")
            proxy.cut()
            proxy.resume()
        added = adding.result()

    assert {first.id: "wait", added.id: "wait"} == aftermath.partition().states


async def test_many_jobs_whose_adding_takes_too_long_are_not_sent_again(
    client: redis.Redis, proxy: FaultProxy, prefix: str
) -> None:
    limits = Timeouts(command="300ms")
    async with Queue("q", redis_url=proxy.url, prefix=prefix, timeouts=limits) as queue:
        job = await queue.add("work")
        async with asyncio.TaskGroup() as group:  # by now there is a connection for sending again
            for progress in range(2):
                group.create_task(queue.update_progress(job.id, progress))
        client.config_resetstat()

        proxy.hold_replies()
        with pytest.raises(StoreTimeout):
            await queue.add_many([JobSpec(name="work")] * 2_500)
        proxy.resume()

    commands: Any = client.info("commandstats")
    assert commands["cmdstat_evalsha"]["calls"] == 2  # one, and the next ahead of its reply


async def test_step_whose_reply_was_lost_ends_and_takes_jobs_once(
    queue: Queue,
    client: redis.Redis,
    proxy: FaultProxy,
    start_worker: StartWorker,
    aftermath: Aftermath,
    prefix: str,
) -> None:
    job_ids = await add_jobs(queue, 3, ms=300)
    # With such locks a job whose taking was forgotten would not be recovered in time.
    start_worker(url=proxy.url, queues={"q": 1}, lock="60s", stalled_interval="60s")
    await begun(aftermath, 1)

    proxy.hold_replies()
    await wait_until(
        lambda: aftermath.completed_count() == 1 == client.llen(f"{prefix}:q:active"),
        what="the first job to be ended and the second to be taken",
    )
    proxy.cut()
    proxy.resume()
    await all_done(aftermath, 3)

    aftermath.check_all_completed(job_ids, extra_runs=0)
