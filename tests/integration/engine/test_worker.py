"""Workers: places, queues, waiting for work."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import Any

import pytest
import redis
from tests.integration.engine.running import all_ended, is_in, running, until
from tests.support import wait_until

from oxcart import App, JobState, Queue, Retention, current_job
from oxcart.errors import ConfigError

PROMPT_S = 1.0
"""Well under the 5 s block: what happens within it was woken, not found by the way."""


async def test_no_more_jobs_run_at_a_time_than_there_are_places(app: App, queue: Queue) -> None:
    running_now, most = 0, 0

    @app.job
    async def count() -> None:
        nonlocal running_now, most
        running_now += 1
        most = max(most, running_now)
        await asyncio.sleep(0.005)
        running_now -= 1

    await queue.add_many([count.spec()] * 40)
    async with running(app.worker({"default": 4})):
        await all_ended(queue)

    assert 4 == most
    assert 40 == (await queue.get_counts()).completed


async def test_each_queue_of_a_worker_has_places_of_its_own(app: App) -> None:
    barrier = asyncio.Barrier(3)

    @app.job(queue="wide")
    async def wide() -> str:
        await barrier.wait()
        return current_job().queue

    @app.job(queue="narrow")
    async def narrow() -> str:
        await barrier.wait()
        return current_job().queue

    jobs = [await wide.enqueue(), await wide.enqueue(), await narrow.enqueue()]
    async with running(app.worker({"wide": 2, "narrow": 1})):
        results = [await job.result("10s") for job in jobs]

    assert ["wide", "wide", "narrow"] == results


async def test_plain_functions_run_side_by_side(app: App, queue: Queue) -> None:
    trio = threading.Barrier(3, timeout=10)

    @app.job(attempts=1)
    def work() -> None:
        trio.wait()  # nobody passes unless three run together

    await queue.add_many([work.spec()] * 6)
    async with running(app.worker({"default": 3})):
        await all_ended(queue)

    assert 6 == (await queue.get_counts()).completed


async def test_queue_whose_places_are_full_does_not_hold_up_another(app: App) -> None:
    release = asyncio.Event()

    @app.job(queue="slow")
    async def slow() -> None:
        await release.wait()

    @app.job(queue="fast")
    async def fast() -> int:
        return 1

    waiting = await slow.enqueue()
    async with running(app.worker({"slow": 1, "fast": 1})):
        await is_in(app.queue("slow"), waiting, JobState.ACTIVE)
        assert [1] * 5 == [await (await fast.enqueue()).result() for _ in range(5)]
        release.set()
        await waiting.result()


async def test_priorities_and_order_of_adding_decide_who_runs_first(app: App) -> None:
    order: list[str] = []

    @app.job(attempts=1)
    async def note(name: str) -> None:
        order.append(name)

    adds: list[tuple[str, dict[str, Any]]] = [
        ("low", {"priority": 10}),
        ("first", {}),
        ("high", {"priority": 1}),
        ("second", {}),
        ("urgent", {"lifo": True}),
    ]
    for name, options in adds:
        await note.options(**options).enqueue(name)
    async with running(app.worker({"default": 1})):
        await all_ended(app.queue("default"))

    assert ["urgent", "first", "second", "high", "low"] == order


async def test_added_job_wakes_an_idle_worker_at_once(
    app: App, valkey: redis.Redis, prefix: str
) -> None:
    @app.job
    async def echo(number: int) -> int:
        return number

    async with running(app.worker()):
        for number in range(5):
            await wait_until(lambda: waiting_workers(valkey, prefix), what="the worker to wait")
            started = time.monotonic()
            assert number == await (await echo.enqueue(number)).result()
            assert time.monotonic() - started < PROMPT_S


@pytest.mark.parametrize("is_idle_first", [True, False])
async def test_delayed_job_runs_when_it_is_due(
    app: App, valkey: redis.Redis, prefix: str, is_idle_first: bool
) -> None:
    @app.job
    async def instant() -> float:
        return time.time()

    async with running(app.worker()):
        if is_idle_first:
            await wait_until(lambda: waiting_workers(valkey, prefix), what="the worker to wait")
        job = await instant.options(delay="300ms").enqueue()
        ran_at = await job.result()

    late_s = ran_at - (job.created_at_ms / 1_000 + 0.3)
    assert -0.002 < late_s < PROMPT_S


@pytest.mark.parametrize("delay", [None, "100ms"])
async def test_worker_that_knows_of_a_distant_job_is_woken_by_a_nearer_one(
    app: App, queue: Queue, valkey: redis.Redis, prefix: str, delay: str | None
) -> None:
    @app.job
    async def now() -> int:
        return 1

    async with running(app.worker()):
        await wait_until(lambda: waiting_workers(valkey, prefix), what="the worker to wait")
        await now.options(delay="1h").enqueue()
        await until(lambda: _looked(valkey, prefix), what="the worker to hear of it")
        started = time.monotonic()
        assert 1 == await (await now.options(delay=delay).enqueue()).result()

    assert time.monotonic() - started < 0.1 + PROMPT_S
    assert 1 == (await queue.get_counts()).delayed


async def test_pause_stops_jobs_from_being_taken_and_resume_wakes_the_worker(
    app: App, queue: Queue, valkey: redis.Redis, prefix: str
) -> None:
    @app.job
    async def work() -> int:
        return 1

    async with running(app.worker()):
        assert 1 == await (await work.enqueue()).result()
        await queue.pause()
        await wait_until(lambda: waiting_workers(valkey, prefix), what="the worker to wait")
        job = await work.enqueue()
        await until(lambda: _looked(valkey, prefix), what="the worker to look")
        assert JobState.WAITING is await job.state()
        assert await queue.is_paused()

        started = time.monotonic()
        await queue.resume()
        assert 1 == await job.result()

    assert time.monotonic() - started < PROMPT_S
    assert not await queue.is_paused()


async def test_worker_is_named_in_its_jobs_and_in_the_servers_list_of_clients(
    app: App, valkey: redis.Redis, prefix: str
) -> None:
    @app.job
    async def work() -> None: ...

    async with running(app.worker(name="my worker\n1")):
        job = await work.enqueue()
        await job.result()
        await wait_until(lambda: waiting_workers(valkey, prefix), what="the worker to wait")
        names = waiting_workers(valkey, prefix)

    assert [f"{prefix}:ZGVmYXVsdA==:w:my-worker-1"] == names
    assert "my-worker-1" == (await job.refresh()).processed_by


async def test_idle_worker_asks_the_server_for_little(
    app: App, valkey: redis.Redis, prefix: str
) -> None:
    @app.job
    async def work() -> None: ...

    def commands() -> int:
        stats: Any = valkey.info("stats")
        return int(stats["total_commands_processed"])

    async with running(app.worker()):
        await (await work.enqueue()).result()
        await wait_until(lambda: waiting_workers(valkey, prefix), what="the worker to wait")
        before, started = commands(), time.monotonic()
        await wait_until(lambda: time.monotonic() > started + 1, what="a second to pass")
        count = commands() - before

    assert count <= 6  # one is the question itself


async def test_worker_for_a_queue_without_jobs_is_refused(app: App) -> None:
    @app.job(queue="known")
    async def work() -> None: ...

    with pytest.raises(ConfigError, match=r"'unknown'.*known"):
        app.worker({"unknown": 1})
    with pytest.raises(ConfigError, match="concurrency"):
        app.worker({"known": 0})


async def test_job_may_add_and_await_another_job(app: App) -> None:
    @app.job
    async def child(number: int) -> int:
        return number * 2

    @app.job
    async def parent(number: int) -> int:
        return (await (await child.enqueue(number)).result()) + 1

    job = await parent.enqueue(4)
    async with running(app.worker()):
        assert 9 == await job.result()


async def test_retention_keeps_no_more_finished_jobs_than_it_says(app: App, queue: Queue) -> None:
    @app.job(keep_completed=Retention(count=3))
    async def work() -> None: ...

    await queue.add_many([work.spec()] * 10)
    async with running(app.worker({"default": 1})):
        await all_ended(queue)

    assert 3 == (await queue.get_counts()).completed


def waiting_workers(client: redis.Redis, prefix: str) -> list[str]:
    """Names of the connections that wait for work of this test's queues."""
    clients: Any = client.client_list()
    waiting = [each for each in clients if each["cmd"] == "bzpopmin" and "b" in each["flags"]]
    return [each["name"] for each in waiting if each["name"].startswith(f"{prefix}:")]


async def _looked(client: redis.Redis, prefix: str) -> bool:
    """Whether a worker has taken the marker and waits for the next."""
    return bool(waiting_workers(client, prefix)) and not client.exists(f"{prefix}:default:marker")
