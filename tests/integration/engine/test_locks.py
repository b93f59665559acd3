"""Keeping locks, and letting go of jobs whose lock is gone."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

import pytest
import redis
from tests.integration.engine.running import QUICK, all_ended, is_in, running
from tests.support import ValkeyServer, wait_until

from oxcart import App, JobState, Queue, current_job
from oxcart._model.clock import ServerClock
from oxcart._store.calls.holding import recover_stalled
from oxcart._store.location import Location
from oxcart._store.sync_store import SyncStore
from oxcart._wire.keys import QueueKeys
from oxcart.errors import LockLost

LOCK_S = 1.0
"""The lock time of ``QUICK``."""
MOST_LOST = 10
"""How often a job may lose a worker without being the only one that it ran."""


@contextmanager
def stalled_checks(url: str, prefix: str) -> Iterator[None]:
    """Look for stalled jobs from a thread, as the worker of another machine would."""
    store, stopping, counts = SyncStore(Location.at(url)), threading.Event(), [0]
    check = recover_stalled(
        QueueKeys(prefix, "default"), clock=ServerClock(), interval_ms=100, max_stalled=1
    )

    def look() -> None:
        while not stopping.wait(0.1):
            store.run(check)
            counts[0] += 1

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield
    finally:
        stopping.set()
        thread.join()
        store.close()
    assert counts[0] > 10


async def test_handler_that_blocks_the_loop_for_several_lock_times_harms_no_neighbour(
    app: App, queue: Queue, valkey_url: str, prefix: str
) -> None:
    runs: Counter[str] = Counter()
    all_begun = asyncio.Barrier(4)

    @app.job
    async def neighbour() -> None:
        runs[current_job().job_id] += 1
        await all_begun.wait()

    @app.job
    async def hog() -> None:
        runs[current_job().job_id] += 1
        await all_begun.wait()
        until = time.monotonic() + 4 * LOCK_S
        while time.monotonic() < until:
            pass

    jobs = [await neighbour.enqueue() for _ in range(3)] + [await hog.enqueue()]
    with stalled_checks(valkey_url, prefix):
        async with running(app.worker(**QUICK)):
            await all_ended(queue, within=20)

    assert {job.id: 1 for job in jobs} == runs
    assert [0] * 4 == [(await job.refresh()).stalled_count for job in jobs]


async def test_lock_is_renewed_for_as_long_as_its_job_runs(
    app: App, queue: Queue, valkey: redis.Redis, prefix: str
) -> None:
    may_end = asyncio.Event()

    @app.job
    async def long() -> bool:
        await may_end.wait()
        current_job().ensure_lock()
        return True

    job = await long.enqueue()
    lock = f"{prefix}:default:{job.id}:lock"
    async with running(app.worker(**QUICK)):
        await is_in(queue, job, JobState.ACTIVE)
        rises = 0
        last: int = valkey.pttl(lock)
        while rises < 4:  # more than one lock time
            left: int = valkey.pttl(lock)
            assert left > 0
            rises += left > last
            last = left
            await asyncio.sleep(0.01)
        may_end.set()
        assert await job.result()

    assert not valkey.exists(lock)


async def test_job_whose_lock_is_gone_is_cancelled_and_run_again_once_it_is_found_stalled(
    app: App, queue: Queue, valkey: redis.Redis, prefix: str
) -> None:
    runs: list[str] = []
    cancelled: list[str] = []

    @app.job
    async def work() -> str:
        job = current_job()
        runs.append(job.job_id)
        if len(runs) > 1:
            return "second run"
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.append(job.job_id)
            with pytest.raises(LockLost):
                job.ensure_lock()
            raise
        return "never"

    job = await work.enqueue()
    async with running(app.worker(**QUICK), app.worker(**QUICK)):
        await wait_until(lambda: runs, what="the job to begin")
        valkey.delete(f"{prefix}:default:{job.id}:lock")
        result = await job.result()

    done = await job.refresh()
    assert "second run" == result
    assert ([job.id] * 2, [job.id]) == (runs, cancelled)
    # The job did nothing wrong: its worker is alive and has lost the lock.
    assert (0, 1, 2) == (done.stalled_count, done.attempts_made, done.attempts_started)


async def test_result_of_a_run_that_lost_its_lock_is_not_written(
    app: App, queue: Queue, valkey: redis.Redis, prefix: str
) -> None:
    runs = 0
    lost = asyncio.Event()

    @app.job
    async def work() -> str:
        nonlocal runs
        runs += 1
        if runs > 1:
            return "of the second run"
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            lost.set()
        return "of the run that was not entitled to it"

    job = await work.enqueue()
    async with running(app.worker(**QUICK)):
        await is_in(queue, job, JobState.ACTIVE)
        await wait_until(lambda: runs, what="the job to begin")
        valkey.delete(f"{prefix}:default:{job.id}:lock")
        await lost.wait()
        assert "of the second run" == await job.result()

    assert "of the second run" == (await job.refresh()).return_value


async def test_lock_of_another_worker_is_left_alone(
    app: App, queue: Queue, valkey: redis.Redis, prefix: str
) -> None:
    cancelled = asyncio.Event()

    @app.job
    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    job = await work.enqueue()
    lock = f"{prefix}:default:{job.id}:lock"
    async with running(app.worker(**QUICK)):
        await is_in(queue, job, JobState.ACTIVE)
        valkey.set(lock, "another worker's", px=60_000)
        await cancelled.wait()

    assert b"another worker's" == valkey.get(lock)
    assert JobState.ACTIVE is await job.state()


async def test_plain_handler_whose_lock_is_gone_is_interrupted(
    app: App, queue: Queue, valkey: redis.Redis, prefix: str
) -> None:
    runs: list[int] = []

    @app.job
    def work() -> int:
        runs.append(threading.get_ident())
        while len(runs) == 1:
            time.sleep(0.001)
        return len(runs)

    job = await work.enqueue()
    async with running(app.worker(**QUICK)):
        await wait_until(lambda: runs, what="the job to begin")
        valkey.delete(f"{prefix}:default:{job.id}:lock")
        assert 2 == await job.result()


@pytest.fixture
async def fenced_app(own_valkey: ValkeyServer, prefix: str) -> AsyncIterator[App]:
    """An application on a server of the test's own, which may be made to stand still."""
    async with App(own_valkey.url, prefix=prefix) as opened:
        yield opened


async def test_worker_lets_go_of_its_jobs_when_the_server_stands_still_too_long(
    fenced_app: App, own_valkey: ValkeyServer, prefix: str
) -> None:
    runs: list[bool] = []
    refused, other_may_end = asyncio.Event(), asyncio.Event()

    @fenced_app.job
    async def work() -> str:
        job = current_job()
        runs.append(True)
        if len(runs) > 1:
            await other_may_end.wait()
            return "second run"
        try:
            await asyncio.Event().wait()
        finally:
            with pytest.raises(LockLost):
                job.ensure_lock()
            refused.set()
        return "never"

    job = await work.enqueue()
    async with running(fenced_app.worker(**QUICK), fenced_app.worker(**QUICK)):
        await wait_until(lambda: runs, what="the job to begin")
        with own_valkey.stopped():
            stopped_at = time.monotonic()
            async with asyncio.timeout(10):
                await refused.wait()
            let_go_after = time.monotonic() - stopped_at
        await wait_until(lambda: len(runs) == 2, what="the second run")
        other_may_end.set()
        assert "second run" == await job.result()
        stalled_count = (await job.refresh()).stalled_count

    assert let_go_after <= LOCK_S + 0.2
    assert 0 == stalled_count  # both workers are alive: the job did nothing wrong


async def test_server_that_stands_still_for_less_than_the_lock_costs_nothing(
    fenced_app: App, own_valkey: ValkeyServer
) -> None:
    runs: list[str] = []
    may_end = asyncio.Event()

    @fenced_app.job
    async def work() -> bool:
        runs.append(current_job().job_id)
        await may_end.wait()
        current_job().ensure_lock()
        return True

    job = await work.enqueue()
    async with running(fenced_app.worker(lock="5s", stalled_interval="500ms")):
        await wait_until(lambda: runs, what="the job to begin")
        with own_valkey.stopped():
            stopped_at = time.monotonic()
            await wait_until(lambda: time.monotonic() > stopped_at + 2, what="two seconds to pass")
        may_end.set()
        assert await job.result()

    assert [job.id] == runs


async def test_death_of_its_process_uses_up_an_attempt_where_that_is_wanted(
    app: App, queue: Queue, valkey: redis.Redis, prefix: str
) -> None:
    runs: list[int] = []

    @app.job(attempts=3)
    async def work() -> None:
        runs.append(len(runs))
        raise ValueError("always")

    job = await work.enqueue()
    valkey.hset(f"{prefix}:default:{job.id}", "stc", "1")
    async with running(app.worker(**QUICK, max_stalled="attempts")):
        failed = await is_in(queue, job, JobState.FAILED)

    assert (2, 2) == (len(runs), failed.attempts_made)


async def test_job_whose_lock_is_lost_again_and_again_fails_without_being_run_again(
    app: App, queue: Queue, valkey: redis.Redis, prefix: str
) -> None:
    runs: list[str] = []

    @app.job
    async def work() -> None:
        runs.append(current_job().job_id)
        await asyncio.Event().wait()

    job = await work.enqueue()
    async with running(app.worker(**QUICK, max_stalled=1)):
        for count in range(1, MOST_LOST + 2):
            await wait_until(lambda: len(runs) == count, what=f"run {count}")  # noqa: B023
            valkey.delete(f"{prefix}:default:{job.id}:lock")
        failed = await is_in(queue, job, JobState.FAILED)

    assert MOST_LOST + 1 == len(runs)
    assert failed.failed_reason is not None
    assert failed.failed_reason.startswith("job stalled more than allowable limit: its worker was")
