"""Jobs that run well: what handlers get, give and may do."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
from tests.integration.engine.running import all_ended, running

from oxcart import (
    App,
    JobContext,
    JobSpec,
    JobState,
    JsonValue,
    Queue,
    Retention,
    Worker,
    current_job,
)
from oxcart.errors import ConfigError


async def test_as_many_jobs_run_at_a_time_as_the_concurrency_says(app: App, queue: Queue) -> None:
    trios, counts = asyncio.Barrier(3), [0]

    @app.job("work")
    async def work() -> int:
        counts.append(counts[-1] + 1)
        await trios.wait()  # nobody passes unless three run together
        counts.append(counts[-1] - 1)
        return max(counts)

    await queue.add_many([JobSpec(name="work")] * 9)
    async with running(app.worker({"default": 3})):
        await all_ended(queue)

    assert 3 == max(counts)


async def test_plain_functions_run_side_by_side_in_threads(app: App, queue: Queue) -> None:
    trios, threads = threading.Barrier(3, timeout=10), set()

    @app.job("work")
    def work() -> None:
        trios.wait()
        threads.add(threading.get_ident())

    await queue.add_many([JobSpec(name="work")] * 6)
    async with running(app.worker({"default": 3})):
        await all_ended(queue)

    assert len(threads) >= 3
    assert threading.get_ident() not in threads
    assert 6 == (await queue.get_counts()).completed


async def test_async_handler_runs_on_the_workers_own_loop(app: App, queue: Queue) -> None:
    @app.job("work")
    async def work() -> bool:
        return asyncio.get_running_loop() is loop

    loop = asyncio.get_running_loop()
    async with running(app.worker()):
        assert await (await work.enqueue()).result()


async def test_each_queue_of_a_worker_has_a_concurrency_of_its_own(app: App) -> None:
    counts = {"wide": [0], "narrow": [0]}
    everybody = asyncio.Barrier(4)  # three of the one queue and one of the other

    async def work() -> None:
        of_queue = counts[current_job().queue]
        of_queue.append(of_queue[-1] + 1)
        await everybody.wait()
        of_queue.append(of_queue[-1] - 1)

    for name in counts:
        app.job("work", queue=name)(work)
    await app.queue("wide").add_many([JobSpec(name="work")] * 6)
    await app.queue("narrow").add_many([JobSpec(name="work")] * 2)
    async with running(app.worker({"wide": 3, "narrow": 1})):
        await all_ended(app.queue("wide"))
        await all_ended(app.queue("narrow"))

    assert (3, 1) == (max(counts["wide"]), max(counts["narrow"]))


@pytest.mark.parametrize("is_async", [True, False])
async def test_handler_knows_the_job_that_it_runs(app: App, queue: Queue, is_async: bool) -> None:
    seen: list[tuple[Any, ...]] = []

    def note() -> None:
        job = current_job()
        seen.append((job.job_id, job.name, job.queue, job.attempt, job.max_attempts, job.data))
        job.ensure_lock()

    if is_async:

        @app.job("work")
        async def work(image: int) -> None:
            note()

    else:

        @app.job("work")
        def work_in_thread(image: int) -> None:
            note()

    job = await queue.add("work", {"image": 7}, attempts=4)
    async with running(app.worker()):
        await job.result()

    assert [(job.id, "work", "default", 1, 4, {"image": 7})] == seen


def test_outside_a_handler_there_is_no_current_job() -> None:
    with pytest.raises(ConfigError, match="outside a handler"):
        current_job()


async def test_handlers_that_run_together_do_not_see_each_others_job(
    app: App, queue: Queue
) -> None:
    both = asyncio.Barrier(2)

    @app.job("work")
    async def work(number: int) -> list[JsonValue]:
        await both.wait()
        async with asyncio.TaskGroup() as group:  # tasks of a handler see its job too
            inner = group.create_task(asyncio.to_thread(lambda: current_job().data))
        return [current_job().data, inner.result()]

    jobs = [await work.enqueue(number) for number in (1, 2)]
    async with running(app.worker()):
        results = [await job.result() for job in jobs]

    assert [[{"number": 1}] * 2, [{"number": 2}] * 2] == results


async def test_progress_and_log_rows_of_an_async_handler_are_kept(app: App, queue: Queue) -> None:
    @app.job("work")
    async def work() -> None:
        await current_job().progress({"rows": 10})
        await current_job().log("first ü")
        await current_job().log("second")

    job = await work.enqueue()
    async with running(app.worker()):
        await job.result()

    logs = await queue.get_logs(job.id)
    assert {"rows": 10} == (await job.refresh()).progress
    assert (("first ü", "second"), 2) == (logs.rows, logs.count)


async def test_progress_and_log_rows_of_a_plain_handler_are_kept(app: App, queue: Queue) -> None:
    @app.job("work")
    def work() -> None:
        current_job().sync.progress(55)
        current_job().sync.log("a row")

    job = await work.enqueue()
    async with running(app.worker()):
        await job.result()

    assert 55 == (await job.refresh()).progress
    assert ("a row",) == (await queue.get_logs(job.id)).rows


async def test_progress_is_seen_while_the_handler_runs(app: App, queue: Queue) -> None:
    has_reported, may_end = asyncio.Event(), asyncio.Event()

    @app.job("work")
    async def work() -> None:
        await current_job().progress(50)
        has_reported.set()
        await may_end.wait()

    job = await work.enqueue()
    async with running(app.worker()):
        await has_reported.wait()
        halfway = await job.refresh()
        may_end.set()
        await job.result()

    assert 50 == halfway.progress
    assert halfway.processed_at_ms is not None


async def test_log_limit_of_a_job_keeps_its_last_rows(app: App, queue: Queue) -> None:
    @app.job("work")
    async def work() -> None:
        for number in range(5):
            await current_job().log(f"row {number}")

    job = await queue.add("work", log_limit=2)
    async with running(app.worker()):
        await job.result()

    assert ("row 3", "row 4") == (await queue.get_logs(job.id)).rows


async def test_jobs_are_taken_in_their_order(app: App, queue: Queue) -> None:
    order: list[str] = []

    @app.job("work")
    async def work(name: str) -> None:
        order.append(name)

    for name, options in (
        ("first", {}),
        ("low", {"priority": 9}),
        ("second", {}),
        ("high", {"priority": 2}),
        ("high again", {"priority": 2}),
        ("front", {"lifo": True}),
    ):
        await queue.add("work", {"name": name}, **options)  # type: ignore[arg-type]
    async with running(app.worker({"default": 1})):
        await all_ended(queue)

    assert ["front", "first", "second", "high", "high again", "low"] == order


@pytest.mark.parametrize(
    "value",
    [None, 0, "", [], {}, {"ü": [1.5, None, True, "\u0000 ☃"]}, 2**53, "x" * 1_000_000],
    ids=lambda value: type(value).__name__,
)
async def test_what_a_handler_returns_is_the_jobs_result(app: App, value: JsonValue) -> None:
    @app.job("work")
    async def work(value: JsonValue) -> JsonValue:
        return value

    async with running(app.worker()):
        job = await work.enqueue(value)
        result = await job.result()

    assert value == result == (await job.refresh()).return_value


async def test_finished_job_says_who_ran_it_and_when(app: App) -> None:
    @app.job("work")
    async def work() -> None: ...

    async with running(app.worker(name="w 1")):
        job = await work.enqueue()
        await job.result()

    done = await job.refresh()
    assert ("w-1", 1, 1, 0) == (
        done.processed_by,
        done.attempts_made,
        done.attempts_started,
        done.stalled_count,
    )
    assert done.processed_at_ms is not None
    assert done.finished_at_ms is not None
    assert job.created_at_ms <= done.processed_at_ms <= done.finished_at_ms


async def test_job_that_keeps_nothing_is_gone_when_it_is_done(app: App, queue: Queue) -> None:
    @app.job("work")
    async def work() -> str:
        return "gone"

    job = await work.options(keep_completed=Retention.NONE).enqueue()
    async with running(app.worker()):
        result = await job.result()  # told by the event alone

    assert "gone" == result
    assert JobState.UNKNOWN is await job.state()


async def test_worker_without_an_app_runs_every_name_with_its_one_handler(
    valkey_url: str, prefix: str
) -> None:
    async def handle(job: JobContext) -> JsonValue:
        return [job.name, job.data]

    worker = Worker("default", handle, concurrency=2, redis_url=valkey_url, prefix=prefix)
    async with Queue("default", redis_url=valkey_url, prefix=prefix) as queue:
        jobs = [await queue.add(name, {"n": name}) for name in ("a", "b")]
        async with running(worker):
            results = [await job.result() for job in jobs]

    assert [["a", {"n": "a"}], ["b", {"n": "b"}]] == results


async def test_worker_without_an_app_runs_a_plain_handler_in_a_thread(
    valkey_url: str, prefix: str
) -> None:
    def handle(job: JobContext) -> bool:
        job.sync.log("from a thread")
        return threading.current_thread() is threading.main_thread()

    worker = Worker("default", handle, redis_url=valkey_url, prefix=prefix)
    async with Queue("default", redis_url=valkey_url, prefix=prefix) as queue:
        job = await queue.add("any")
        async with running(worker):
            assert await job.result() is False

        assert ("from a thread",) == (await queue.get_logs(job.id)).rows
