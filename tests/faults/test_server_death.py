"""A server that is killed and started again, with its append-only file."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field

import pytest
import redis
from tests.faults.aftermath import Aftermath
from tests.faults.conftest import StartWorker
from tests.support import ValkeyServer, wait_until

from oxcart import Queue
from oxcart.errors import StoreUnavailable

CONCURRENCY = 8


@dataclass(slots=True)
class Producer:
    """Adds jobs as fast as the server takes them, and remembers which were acknowledged."""

    queue: Queue
    acknowledged: list[str] = field(default_factory=list)
    refused: int = 0

    async def run(self, count: int) -> None:
        """Add jobs until so many were acknowledged."""
        while len(self.acknowledged) < count:
            try:
                job = await self.queue.add("work", {"ms": 2})
            except StoreUnavailable:
                self.refused += 1
                await asyncio.sleep(0.02)
            else:
                self.acknowledged.append(job.id)

    async def has_added(self, count: int) -> None:
        """Wait until so many jobs were acknowledged."""
        await wait_until(
            lambda: len(self.acknowledged) >= count,
            within=20,
            what=f"{count} jobs to be acknowledged",
        )


@pytest.mark.parametrize("restarts", [3, pytest.param(20, marks=pytest.mark.slow)])
async def test_no_acknowledged_job_is_lost_when_the_server_is_killed_under_load(
    own_valkey: ValkeyServer,
    prefix: str,
    client: redis.Redis,
    start_worker: StartWorker,
    aftermath: Aftermath,
    restarts: int,
) -> None:
    count = (restarts + 1) * 150
    start_worker()

    async with Queue("q", redis_url=own_valkey.url, prefix=prefix) as queue:
        producer = Producer(queue)
        async with asyncio.TaskGroup() as group:
            for _ in range(4):
                group.create_task(producer.run(count))
            for number in range(1, restarts + 1):
                await producer.has_added(number * 150)
                await asyncio.to_thread(own_valkey.restart)
    known = {key.decode().rsplit(":", 1)[1] for key in client.scan_iter(f"{prefix}:q:[0-9]*")}
    job_ids = {each for each in known if each.isdigit()}
    await asyncio.to_thread(aftermath.wait_for, len(job_ids))

    # Adds that were refused may have taken effect all the same: they are run like the others.
    assert set(producer.acknowledged) <= job_ids
    assert len(job_ids) - len(producer.acknowledged) <= producer.refused
    assert len(producer.acknowledged) == len(set(producer.acknowledged))
    aftermath.check_all_completed(job_ids, extra_runs=restarts * CONCURRENCY)


async def test_running_job_outlives_a_short_restart_and_is_not_run_again(
    own_valkey: ValkeyServer, prefix: str, start_worker: StartWorker, aftermath: Aftermath
) -> None:
    async with Queue("q", redis_url=own_valkey.url, prefix=prefix) as queue:
        job = await queue.add("work", {"ms": 1_500})
    start_worker(lock="10s")
    await wait_until(lambda: aftermath.ledger.lines("start"), what="the job to begin")

    await asyncio.to_thread(own_valkey.restart)
    await asyncio.to_thread(aftermath.wait_for, 1)

    aftermath.check_all_completed([job.id], extra_runs=0)


@pytest.mark.parametrize("lock_ms", [300, 30_000])
async def test_first_jobs_after_an_outage_are_run_once_however_long_it_was(
    own_valkey: ValkeyServer,
    prefix: str,
    client: redis.Redis,
    start_worker: StartWorker,
    aftermath: Aftermath,
    lock_ms: int,
) -> None:
    async with Queue("q", redis_url=own_valkey.url, prefix=prefix) as queue:
        jobs = [await queue.add("work", {"ms": 1}) for _ in range(CONCURRENCY)]
    own_valkey.kill()

    worker = start_worker(lock=f"{lock_ms}ms")
    await wait_until(worker.log_lines, what="the worker to miss its server")
    missed_at = time.monotonic()
    await wait_until(lambda: time.monotonic() > missed_at + 0.5, what="the shorter lock's time")
    own_valkey.start()
    await asyncio.to_thread(aftermath.wait_for, CONCURRENCY)

    aftermath.check_all_completed([job.id for job in jobs], extra_runs=0)
    assert {None} == {client.hget(f"{prefix}:q:{job.id}", "stc") for job in jobs}


async def test_worker_told_to_stop_without_its_server_stops(
    own_valkey: ValkeyServer, prefix: str, start_worker: StartWorker, aftermath: Aftermath
) -> None:
    async with Queue("q", redis_url=own_valkey.url, prefix=prefix) as queue:
        job = await queue.add("work", {"ms": 60_000})
    worker = start_worker(grace="500ms")
    await wait_until(lambda: aftermath.ledger.lines("start"), what="the job to begin")
    own_valkey.kill()

    worker.terminate()
    code = await asyncio.to_thread(worker.wait, within=20)
    own_valkey.start()
    start_worker()
    await wait_until(
        lambda: aftermath.ledger.starts()[job.id] == 2, what="another worker to run the job"
    )

    assert 0 == code
    assert {job.id: "active"} == aftermath.partition().states


async def test_idle_worker_without_its_server_stops_without_grace(
    own_valkey: ValkeyServer, prefix: str, start_worker: StartWorker, aftermath: Aftermath
) -> None:
    worker = start_worker(grace="1h")
    async with Queue("q", redis_url=own_valkey.url, prefix=prefix) as queue:
        await (await queue.add("work", {"ms": 1})).result()
        await queue.ping()  # the server's next turn: it has answered the worker's last step too
    own_valkey.kill()
    await wait_until(
        lambda: any("worker.waiting_for_server" in line for line in worker.log_lines()),
        what="the worker to miss its server",
    )

    worker.terminate()

    assert 0 == await asyncio.to_thread(worker.wait, within=20)
