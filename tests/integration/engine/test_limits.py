"""Rate limits and global concurrency as running workers meet them."""

from __future__ import annotations

import asyncio
import time

from tests.integration.engine.running import QUICK, all_ended, running

from oxcart import App, JobSpec, JobState, Queue, RateLimit, RateLimited, current_job


async def test_workers_limit_is_shared_by_all_of_them(app: App, queue: Queue) -> None:
    starts: list[float] = []

    @app.job
    async def work() -> None:
        starts.append(time.monotonic())

    limit = RateLimit(max=2, per="500ms")
    await queue.add_many([JobSpec(name="work") for _ in range(6)])
    async with running(
        app.worker(limiter=limit, name="a", **QUICK), app.worker(limiter=limit, name="b", **QUICK)
    ):
        await all_ended(queue)

    # Windows open with their first job, so three of them take at least two whole windows.
    assert starts[2] - starts[0] > 0.4
    assert starts[4] - starts[2] > 0.4


async def test_handler_that_meets_a_limit_holds_the_whole_queue_back(
    app: App, queue: Queue
) -> None:
    met: list[tuple[int, float]] = []

    @app.job
    async def call() -> str:
        met.append((current_job().attempt, time.monotonic()))
        if len(met) == 1:
            raise RateLimited("400ms")
        return "done"

    job = await call.enqueue()
    async with running(
        app.worker({"default": 1}, name="a", **QUICK), app.worker({"default": 1}, name="b", **QUICK)
    ):
        assert "done" == await job.result()

    assert [1, 1] == [attempt for attempt, _ in met], "no attempt is counted"
    assert met[1][1] - met[0][1] > 0.3
    assert 2 == (await job.refresh()).attempts_started


async def test_lifted_limit_lets_the_rest_run(app: App, queue: Queue) -> None:
    @app.job
    async def work() -> None: ...

    await queue.rate_limit("1h")
    job = await work.enqueue()
    async with running(app.worker(**QUICK)):
        assert await job.state() is JobState.WAITING
        await queue.remove_rate_limit()
        await job.result(timeout="4s")  # sooner than a worker looks by itself


async def test_global_concurrency_holds_over_workers(app: App, queue: Queue) -> None:
    at_once, most = 0, 0

    @app.job
    async def work() -> None:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        await asyncio.sleep(0.01)
        at_once -= 1

    await queue.set_concurrency(2)
    await queue.add_many([JobSpec(name="work") for _ in range(20)])
    async with running(app.worker(name="a", **QUICK), app.worker(name="b", **QUICK)):
        await all_ended(queue, within=20)

    assert 20 == (await queue.get_counts()).completed
    assert most <= 2


async def test_raised_concurrency_wakes_workers(app: App, queue: Queue) -> None:
    both = asyncio.Barrier(2)

    @app.job
    async def meet() -> None:
        await both.wait()

    await queue.set_concurrency(1)
    jobs = [await meet.enqueue() for _ in range(2)]
    async with running(app.worker(**QUICK)):
        await queue.set_concurrency(None)
        for job in jobs:
            await job.result()


async def test_worker_counts_finished_jobs_when_it_is_told_to(app: App, queue: Queue) -> None:
    @app.job(attempts=1)
    async def work(fails: bool = False) -> None:
        if fails:
            raise ValueError

    for fails in (False, False, True):
        await work.enqueue(fails=fails)
    async with running(app.worker(metrics=60, **QUICK)):
        await all_ended(queue)

    assert 2 == (await queue.get_metrics(JobState.COMPLETED)).count
    assert 1 == (await queue.get_metrics(JobState.FAILED)).count
