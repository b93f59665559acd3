"""Workers that are killed, and workers that are asked to stop."""

from __future__ import annotations

import os
import signal
import time
from typing import Any

import pytest
import redis
from tests.faults.aftermath import Aftermath
from tests.faults.conftest import StartWorker
from tests.support import ValkeyServer, wait_until_sync

from oxcart import JobSpec, Queue

CONCURRENCY = 8


async def add_jobs(server: ValkeyServer, prefix: str, count: int, *, ms: int) -> list[str]:
    async with Queue("q", redis_url=server.url, prefix=prefix) as queue:
        jobs = await queue.add_many([JobSpec(name="work", data={"ms": ms})] * count)
        return [job.id for job in jobs]


async def test_jobs_of_a_worker_killed_in_the_middle_of_a_batch_end_once_and_none_is_lost(
    own_valkey: ValkeyServer, prefix: str, start_worker: StartWorker, aftermath: Aftermath
) -> None:
    job_ids = await add_jobs(own_valkey, prefix, 200, ms=10)

    worker = start_worker()
    aftermath.wait_for_starts(50)
    worker.kill()
    start_worker()
    aftermath.wait_for(200)

    aftermath.check_all_completed(job_ids, extra_runs=CONCURRENCY)


async def test_second_worker_takes_over_what_a_killed_one_held(
    own_valkey: ValkeyServer, prefix: str, start_worker: StartWorker, aftermath: Aftermath
) -> None:
    job_ids = await add_jobs(own_valkey, prefix, 400, ms=10)

    doomed, other = start_worker(), start_worker()
    wait_until_sync(
        lambda: {doomed.pid, other.pid} <= pids_of(aftermath), what="both workers to run jobs"
    )
    doomed.kill()
    aftermath.wait_for(400)

    assert other.is_alive
    aftermath.check_all_completed(job_ids, extra_runs=CONCURRENCY)


@pytest.mark.slow
async def test_jobs_of_workers_killed_again_and_again_end_once_and_none_is_lost(
    own_valkey: ValkeyServer, prefix: str, start_worker: StartWorker, aftermath: Aftermath
) -> None:
    rounds, count = 20, 1_000
    job_ids = await add_jobs(own_valkey, prefix, count, ms=10)

    for number in range(1, rounds + 1):
        worker = start_worker()
        aftermath.wait_for(number * 30)
        worker.kill()
    start_worker()
    aftermath.wait_for(count, within=60)

    aftermath.check_all_completed(job_ids, extra_runs=rounds * CONCURRENCY)


async def test_job_that_kills_its_worker_each_time_fails_in_the_end(
    own_valkey: ValkeyServer,
    prefix: str,
    client: redis.Redis,
    start_worker: StartWorker,
    aftermath: Aftermath,
) -> None:
    [job_id] = await add_jobs(own_valkey, prefix, 1, ms=60_000)

    for runs in (1, 2):
        worker = start_worker(max_stalled=1)
        aftermath.wait_for_starts(runs)
        worker.kill()
    start_worker(max_stalled=1)
    wait_until_sync(lambda: client.zscore(f"{prefix}:q:failed", job_id), what="the job to fail")

    reason: Any = client.hget(f"{prefix}:q:{job_id}", "failedReason")
    # The end depends on what finds the job: the next worker's first heartbeat or its stalled check.
    assert reason.decode().startswith("job stalled more than allowable limit")
    assert 2 == aftermath.ledger.starts()[job_id]
    assert {job_id: "failed"} == aftermath.partition().states


async def test_worker_asked_to_stop_ends_its_jobs_and_leaves_the_others_waiting(
    own_valkey: ValkeyServer, prefix: str, start_worker: StartWorker, aftermath: Aftermath
) -> None:
    job_ids = await add_jobs(own_valkey, prefix, 30, ms=500)

    worker = start_worker()
    aftermath.wait_for_starts(CONCURRENCY)
    worker.terminate()
    code = worker.wait()

    starts = aftermath.ledger.starts()
    partition = aftermath.partition()
    assert 0 == code
    assert starts == aftermath.ledger.ends()
    assert {job_id: "completed" if job_id in starts else "wait" for job_id in job_ids} == (
        partition.states
    )


async def test_jobs_longer_than_the_grace_period_go_back_unlocked_and_uncounted(
    own_valkey: ValkeyServer,
    prefix: str,
    client: redis.Redis,
    start_worker: StartWorker,
    aftermath: Aftermath,
) -> None:
    job_ids = await add_jobs(own_valkey, prefix, 20, ms=60_000)

    worker = start_worker(grace="300ms", lock="30s")
    aftermath.wait_for_starts(CONCURRENCY)
    worker.terminate()
    code = worker.wait()

    partition = aftermath.partition()
    assert 0 == code
    assert dict.fromkeys(job_ids, "wait") == partition.states
    assert set() == partition.locks
    assert [None] * 20 == [client.hget(f"{prefix}:q:{job_id}", "atm") for job_id in job_ids]


async def test_second_signal_gives_the_jobs_back_at_once(
    own_valkey: ValkeyServer, prefix: str, start_worker: StartWorker, aftermath: Aftermath
) -> None:
    job_ids = await add_jobs(own_valkey, prefix, 20, ms=60_000)

    worker = start_worker(grace="10m", lock="30s")
    aftermath.wait_for_starts(CONCURRENCY)
    worker.terminate()
    wait_until_sync(lambda: aftermath.ledger.lines("signal"), what="the first to be heard")
    worker.terminate()
    code = worker.wait(within=10)

    assert 0 == code
    assert dict.fromkeys(job_ids, "wait") == aftermath.partition().states


async def test_worker_whose_handler_cannot_be_interrupted_ends_all_the_same(
    own_valkey: ValkeyServer, prefix: str, start_worker: StartWorker, aftermath: Aftermath
) -> None:
    async with Queue("q", redis_url=own_valkey.url, prefix=prefix) as queue:
        job = await queue.add("stuck")

    worker = start_worker(grace="300ms", lock="30s")
    aftermath.wait_for_starts(1)
    worker.terminate()
    code = worker.wait(within=10)

    assert 0 == code
    assert {job.id: "wait"} == aftermath.partition().states


async def test_two_workers_share_a_queue_and_run_each_job_once(
    own_valkey: ValkeyServer, prefix: str, start_worker: StartWorker, aftermath: Aftermath
) -> None:
    for _ in range(2):
        start_worker()
    job_ids = []
    for number in range(1, 5):
        job_ids += await add_jobs(own_valkey, prefix, 100, ms=5)
        aftermath.wait_for(number * 100)

    assert 2 == len(pids_of(aftermath))
    aftermath.check_all_completed(job_ids, extra_runs=0)


def pids_of(aftermath: Aftermath) -> set[int]:
    """The processes that ran jobs."""
    return {line["pid"] for line in aftermath.ledger.lines("start")}


async def test_job_lost_while_its_process_stood_still_is_cancelled_before_it_goes_on(
    own_valkey: ValkeyServer,
    prefix: str,
    client: redis.Redis,
    start_worker: StartWorker,
    aftermath: Aftermath,
) -> None:
    """The handler's own timer is over when the process goes on, and comes after the worker's."""
    [job_id] = await add_jobs(own_valkey, prefix, 1, ms=4_000)
    worker = start_worker(lock="2s")
    aftermath.wait_for_starts(1)
    begun_at = time.monotonic()

    os.kill(worker.pid, signal.SIGSTOP)
    wait_until_sync(
        lambda: not client.exists(f"{prefix}:q:{job_id}:lock") and time.monotonic() > begun_at + 5,
        what="the lock to run out and the handler's time to pass",
    )
    os.kill(worker.pid, signal.SIGCONT)
    aftermath.wait_for(1, within=30)

    assert (2, 1) == (aftermath.ledger.starts()[job_id], aftermath.ledger.ends()[job_id])
