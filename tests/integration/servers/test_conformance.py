"""What a queue does is the same on every kind of server."""

from __future__ import annotations

import asyncio
from typing import Any

from tests.integration.engine.running import QUICK, is_in, running, until
from tests.integration.queue.hand import Hand
from tests.integration.servers.kinds import Site

from oxcart import (
    App,
    EventName,
    JobContext,
    JobSpec,
    JobState,
    Queue,
    QueueEvents,
    Worker,
    current_job,
    fixed,
)
from oxcart._store.call import Call, command
from oxcart._store.calls import reading

NAME = "work"


def worker_of(site: Site, handler: Any, **options: Any) -> Worker:
    """A worker of the queue ``work``, with a connection of its own."""
    return Worker(NAME, handler, redis_url=site.url, prefix=site.prefix, **{**QUICK, **options})


async def test_jobs_that_are_added_are_run(app: App, site: Site) -> None:
    queue = app.queue(NAME)
    seen: list[object] = []

    async def handle(job: JobContext) -> object:
        seen.append(job.data)
        return {"was": job.data}

    async with asyncio.timeout(20):
        jobs = await queue.add_many([JobSpec(name="n", data=number) for number in range(250)])
        async with running(worker_of(site, handle, concurrency=20)):
            last = await queue.add("n", "last")
            results = [await job.result("10s") for job in (jobs[0], jobs[-1], last)]
        counts = await queue.get_counts()

    assert [{"was": 0}, {"was": 249}, {"was": "last"}] == results
    assert sorted([*map(str, range(250)), "last"]) == sorted(map(str, seen))
    assert (251, 0, 0) == (counts.completed, counts.waiting, counts.active)


async def test_a_job_that_raises_is_run_again(app: App, site: Site) -> None:
    queue = app.queue(NAME)

    async def handle(job: JobContext) -> object:
        if job.attempt < 3:
            raise RuntimeError(f"attempt {job.attempt}")
        return job.attempt

    async with running(worker_of(site, handle)):
        job = await queue.add("n", attempts=3, backoff=fixed("20ms"))
        result = await job.result("10s")
        hopeless = await queue.add("n", attempts=1)
        failed = await is_in(queue, hopeless, JobState.FAILED)

    assert 3 == result
    assert "attempt 1" in (failed.failed_reason or "")


async def test_figures_of_a_queue_are_read(app: App, site: Site) -> None:
    queue = app.queue(NAME)

    async def handle(job: JobContext) -> None: ...

    async with asyncio.timeout(20):
        async with running(worker_of(site, handle, metrics=60)):
            await (await queue.add("n")).result("10s")
        await queue.add("n", priority=3)
        figures = await queue.get_figures()

    present = {state: count for state, count in figures.counts.items() if count}
    assert {JobState.COMPLETED: 1, JobState.PRIORITIZED: 1} == present
    assert {JobState.COMPLETED: 1} == figures.finished_counts
    assert figures.oldest_waiting_ms is not None


async def test_a_delayed_job_waits_for_its_time(app: App, site: Site) -> None:
    queue = app.queue(NAME)

    async def handle(job: JobContext) -> object:
        return job.data

    async with running(worker_of(site, handle)):
        job = await queue.add("n", "later", delay="300ms")
        state = await queue.get_state(job.id)
        result = await job.result("10s")
        done = await job.refresh()

    assert JobState.DELAYED is state
    assert "later" == result
    assert (done.finished_at_ms or 0) - done.created_at_ms >= 300


async def test_jobs_are_run_by_priority(app: App, site: Site) -> None:
    queue = app.queue(NAME)
    order: list[object] = []

    async def handle(job: JobContext) -> None:
        order.append(job.data)

    jobs = [await queue.add("n", number, priority=number) for number in (3, 1, 2)]
    jobs.append(await queue.add("n", 0))
    async with running(worker_of(site, handle)):
        for job in jobs:
            await job.result("10s")

    assert [0, 1, 2, 3] == order


async def test_events_tell_a_jobs_life(app: App, site: Site) -> None:
    queue = app.queue(NAME)

    async def handle(job: JobContext) -> str:
        await current_job().progress({"done": 50})
        await job.log("half way")
        return "all"

    events = QueueEvents(NAME, redis_url=site.url, prefix=site.prefix)
    await events.open()
    job = await queue.add("n")
    names: list[EventName | str] = []
    async with running(worker_of(site, handle)), asyncio.timeout(20):
        async for event in events:
            if event.job_id == job.id:
                names.append(event.name)
            if event.name == EventName.COMPLETED:
                break
    done = await job.refresh()

    assert [
        EventName.ADDED, EventName.WAITING, EventName.ACTIVE, EventName.PROGRESS,
        EventName.COMPLETED,
    ] == names  # fmt: skip
    assert {"done": 50} == done.progress
    assert ["half way"] == list((await queue.get_logs(job.id)).rows)


async def test_a_paused_queue_runs_nothing_until_it_is_resumed(app: App, site: Site) -> None:
    queue = app.queue(NAME)

    async def handle(job: JobContext) -> object:
        return job.data

    await queue.pause()
    held = await queue.add("n", "held")
    is_paused, taken = await queue.is_paused(), await Hand(queue).take()
    async with running(worker_of(site, handle)):
        await queue.resume()
        result = await held.result("10s")

    assert (True, []) == (is_paused, taken)
    assert "held" == result


async def test_a_job_of_a_vanished_worker_is_run_by_another(app: App, site: Site) -> None:
    queue = app.queue(NAME)

    async def handle(job: JobContext) -> str:
        return "recovered"

    job = await queue.add("n")
    assert [job.id] == await Hand(queue).take()
    await app._store.run(command(("DEL", queue._keys.lock(job.id)), int))
    async with running(worker_of(site, handle)):
        result = await job.result("20s")

    assert "recovered" == result


async def test_blocking_code_uses_the_same_queue(app: App, site: Site) -> None:
    queue = app.sync_queue(NAME)

    async def handle(job: JobContext) -> object:
        return job.data

    record = await asyncio.to_thread(queue.add, "n", {"from": "a thread"})
    async with running(worker_of(site, handle)):
        job = await app.queue(NAME).get_job(record.id)
        assert job is not None
        result = await job.result("10s")
    state = await asyncio.to_thread(queue.get_state, record.id)

    assert {"from": "a thread"} == result
    assert JobState.COMPLETED is state


async def test_a_worker_is_seen_once_by_name(app: App, site: Site) -> None:
    """Dashboards count the connections with a worker's name (wire format, section 13)."""
    queue = app.queue(NAME)
    listing = command(("CLIENT", "LIST"), bytes.decode)
    wanted = f"name={queue._keys.worker_connection_name('me')} "

    async def is_seen() -> bool:
        return any(wanted in rows for rows in await app._store.run_everywhere(listing))

    async def handle(job: JobContext) -> None: ...

    async with running(worker_of(site, handle, name="me")):
        await (await queue.add("n")).result("10s")
        await until(is_seen, what="the worker's connection")
        counts = [rows.count(wanted) for rows in await app._store.run_everywhere(listing)]
        sync_counts = [
            rows.count(wanted)
            for rows in await asyncio.to_thread(app._sync_store.run_everywhere, listing)
        ]

    assert 1 == sum(counts) == sum(sync_counts)
    assert (3 if site.kind == "cluster" else 1) == len(counts) == len(sync_counts)


async def test_scripts_are_sent_again_to_a_server_that_forgot_them(app: App, site: Site) -> None:
    """As a server does that was started anew, and the new master after a fail-over."""
    queue: Queue = app.queue(NAME)
    job = await queue.add("n")
    calls: list[Call[Any]] = [
        reading.get_states(queue._keys, [job.id]),
        command(("LLEN", queue._keys.wait), int),
    ]
    forget = command(("SCRIPT", "FLUSH"), bool)

    await app._store.run_everywhere(forget)
    await queue.add("n")
    await app._store.run_everywhere(forget)
    together = await app._store.run_all(calls)
    await app._store.run_everywhere(forget)
    blocking = await asyncio.to_thread(app._sync_store.run_all, calls)

    assert [[JobState.WAITING], 2] == together == blocking
