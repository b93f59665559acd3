"""Stopping a worker, and keeping its locks, whatever handlers do."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from typing import Any

import redis
from tests.integration.engine.running import QUICK, all_ended, is_in, running
from tests.partition import check_partition
from tests.support import ValkeyServer, wait_until

from oxcart import App, JobState, current_job
from oxcart.errors import LockLost


async def _stopped(worker: Any, task: asyncio.Task[None], **how: bool) -> float:
    started = time.monotonic()
    worker.stop(**how)
    async with asyncio.timeout(20):
        await task
    return time.monotonic() - started


async def test_running_jobs_finish_within_the_grace_period(app: App) -> None:
    release = asyncio.Event()

    @app.job
    async def work() -> str:
        await release.wait()
        return "finished"

    jobs = [await work.enqueue() for _ in range(3)]
    worker = app.worker({"default": 2}, grace="10s")
    async with asyncio.TaskGroup() as group:
        task = group.create_task(worker.run())
        await is_in(app.queue("default"), jobs[1], JobState.ACTIVE)
        worker.stop()
        release.set()
        await task

    states = [await job.state() for job in jobs]
    assert [JobState.COMPLETED, JobState.COMPLETED, JobState.WAITING] == states


async def test_jobs_beyond_the_grace_period_go_back_without_an_attempt(
    app: App, valkey: redis.Redis, prefix: str
) -> None:
    @app.job
    async def work() -> None:
        await asyncio.Event().wait()

    job = await work.enqueue()
    worker = app.worker({"default": 1}, grace="100ms")
    async with asyncio.TaskGroup() as group:
        task = group.create_task(worker.run())
        await is_in(app.queue("default"), job, JobState.ACTIVE)
        took = await _stopped(worker, task)

    back = await job.refresh()
    assert (JobState.WAITING, 0, 1) == (
        await job.state(),
        back.attempts_made,
        back.attempts_started,
    )
    assert took < 5
    check_partition(valkey, prefix, "default")


async def test_forced_stop_puts_jobs_back_at_once(app: App) -> None:
    @app.job
    async def work() -> None:
        await asyncio.Event().wait()

    job = await work.enqueue()
    worker = app.worker({"default": 1}, grace="1h")
    async with asyncio.TaskGroup() as group:
        task = group.create_task(worker.run())
        await is_in(app.queue("default"), job, JobState.ACTIVE)
        took = await _stopped(worker, task, force=True)

    assert JobState.WAITING == await job.state()
    assert took < 5


async def test_handler_that_ignores_its_cancellation_does_not_keep_the_worker(
    app: App, valkey: redis.Redis, prefix: str
) -> None:
    release = asyncio.Event()

    @app.job
    async def stubborn() -> str:
        while not release.is_set():
            try:
                await release.wait()
            except asyncio.CancelledError:
                continue
        return "too late"

    job = await stubborn.enqueue()
    worker = app.worker({"default": 1}, grace="0s")
    async with asyncio.TaskGroup() as group:
        task = group.create_task(worker.run())
        await is_in(app.queue("default"), job, JobState.ACTIVE)
        took = await _stopped(worker, task)
    state = await job.state()
    release.set()

    assert JobState.WAITING == state
    assert took < 10
    check_partition(valkey, prefix, "default")


async def test_cancelling_the_worker_puts_its_jobs_back(app: App) -> None:
    @app.job
    async def work() -> None:
        await asyncio.Event().wait()

    job = await work.enqueue()
    async with asyncio.TaskGroup() as group:
        task = group.create_task(app.worker({"default": 1}).run())
        await is_in(app.queue("default"), job, JobState.ACTIVE)
        task.cancel()

    assert JobState.WAITING == await job.state()


async def test_loop_that_is_blocked_does_not_make_neighbours_run_twice(app: App) -> None:
    starts: list[str] = []

    @app.job(attempts=1)
    async def neighbour() -> None:
        starts.append(current_job().job_id)
        await asyncio.sleep(0)

    @app.job(attempts=1)
    async def blocker() -> None:
        starts.append(current_job().job_id)
        until = time.monotonic() + 3.5
        while time.monotonic() < until:
            pass

    jobs = [await neighbour.enqueue() for _ in range(3)]
    jobs.append(await blocker.enqueue())
    async with running(app.worker({"default": 5}, **QUICK)):
        await all_ended(app.queue("default"), within=20)

    assert sorted(job.id for job in jobs) == sorted(starts)
    assert 4 == (await app.queue("default").get_counts()).completed


async def test_job_whose_lock_is_gone_is_cancelled_and_run_again(
    app: App, valkey: redis.Redis, prefix: str
) -> None:
    cancelled = asyncio.Event()
    runs: list[int] = []

    @app.job(attempts=1)
    async def work() -> str:
        runs.append(1)
        if len(runs) > 1:
            return "second run"
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()
        return "first run"

    job = await work.enqueue()
    async with running(app.worker({"default": 1}, **QUICK)):
        await wait_until(lambda: runs, what="the first run")
        valkey.delete(f"{prefix}:default:{job.id}:lock")

        assert "second run" == await job.result("20s")

    assert cancelled.is_set()
    assert (2, 1) == (len(runs), (await job.refresh()).attempts_made)


async def test_worker_that_cannot_renew_its_lock_gives_the_job_up(
    own_valkey: ValkeyServer, prefix: str
) -> None:
    lost: list[BaseException] = []
    runs: list[int] = []
    async with App(own_valkey.url, prefix=prefix) as app:

        @app.job(attempts=1)
        async def work() -> str:
            runs.append(1)
            if len(runs) > 1:
                return "second run"
            job = current_job()
            try:
                await asyncio.Event().wait()
            finally:
                try:
                    job.ensure_lock()
                except LockLost as error:
                    lost.append(error)
            return "never"

        job = await work.enqueue()
        process = own_valkey._process
        assert process is not None
        async with running(app.worker({"default": 1}, **QUICK)):
            await wait_until(lambda: runs, what="the first run")
            os.kill(process.pid, signal.SIGSTOP)
            try:
                await wait_until(lambda: lost, what="the job to be given up")
            finally:
                os.kill(process.pid, signal.SIGCONT)

            assert "second run" == await job.result("30s")

    assert [LockLost] == [type(error) for error in lost]
