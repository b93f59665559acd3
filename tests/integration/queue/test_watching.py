"""Metrics, workers, settings, events of one's own, and going through a state."""

from __future__ import annotations

from typing import Any

import pytest
import redis

from oxcart import JobSpec, JobState, Queue
from oxcart._model.outcome import Completed
from oxcart._store.calls.stepping import EndedRun, StepReply, TakeRequest, step
from oxcart.errors import ConfigError


class At:
    """A clock that stands at a time."""

    def __init__(self, ms: int) -> None:
        self._ms = ms

    def now_ms(self) -> int:
        return self._ms


async def complete_at(queue: Queue, count: int, ms: int) -> None:
    """Run jobs as a worker that counts, at a time."""

    async def make(runs: list[EndedRun], most: int) -> StepReply:
        take = TakeRequest(count=most, token="t", lock_ms=30_000)
        return await queue._store.run(
            step(queue._keys, runs, take, clock=At(ms), worker_id="w", sequence=0, metrics_size=10)
        )

    await queue.add_many([JobSpec(name="n") for _ in range(count)])
    taken = (await make([], count)).taken
    done = Completed(b"1")
    await make([EndedRun(job_id=job.job_id, token="t", outcome=done) for job in taken], 0)


async def test_finished_jobs_are_counted_a_minute(queue: Queue) -> None:
    minute = 60_000
    start = 1_700_000_040_000  # the start of a minute
    await complete_at(queue, 3, start)
    await complete_at(queue, 2, start + minute)
    await complete_at(queue, 1, start + 4 * minute)

    metrics = await queue.get_metrics(JobState.COMPLETED)

    assert 6 == metrics.count
    assert (0, 0, 2, 3) == metrics.points
    assert 4 == metrics.point_count
    assert (2, 3) == (await queue.get_metrics(JobState.COMPLETED, start=2)).points
    assert 0 == (await queue.get_metrics(JobState.FAILED)).count


async def test_figures_are_those_of_the_queue(queue: Queue) -> None:
    await complete_at(queue, 2, 1_700_000_040_000)
    await queue.add_many([JobSpec(name="n") for _ in range(3)])
    await queue.add("n", priority=5)
    await queue.add("n", delay="1h")
    await queue.pause()

    figures = await queue.get_figures()

    present = {state: count for state, count in figures.counts.items() if count}
    assert {"waiting": 3, "prioritized": 1, "delayed": 1, "completed": 2} == present
    assert 7 == len(figures.counts)
    assert figures.is_paused
    assert {JobState.COMPLETED: 2} == figures.finished_counts
    assert figures.oldest_waiting_ms is not None
    assert figures.oldest_waiting_ms >= 0


async def test_figures_of_a_queue_that_is_not_there_are_nothing(queue: Queue) -> None:
    figures = await queue.get_figures()

    assert {0} == set(figures.counts.values())
    assert (False, None, {}) == (
        figures.is_paused,
        figures.oldest_waiting_ms,
        figures.finished_counts,
    )


async def test_only_ends_are_counted(queue: Queue) -> None:
    with pytest.raises(ConfigError, match="only completed and failed"):
        await queue.get_metrics(JobState.WAITING)


async def test_settings_of_the_queue_are_read(queue: Queue) -> None:
    await queue.open()
    await queue.set_concurrency(4)
    await queue.pause()

    meta = await queue.get_meta()

    assert (True, 4, None, 10_000) == (
        meta.is_paused,
        meta.concurrency,
        meta.rate_max,
        meta.events_length,
    )
    assert meta.version is not None
    assert meta.version.startswith("bullmq:oxcart-")


async def test_event_of_ones_own_is_in_the_stream(queue: Queue, valkey: Any, prefix: str) -> None:
    await queue.publish_event("colour", tone="red", depth=3)

    ((_, fields),) = valkey.xrange(f"{prefix}:q:events")
    assert {b"event": b"colour", b"tone": b"red", b"depth": b"3"} == fields
    with pytest.raises(ConfigError, match="engine's own"):
        await queue.publish_event("completed", jobId="7")


async def test_event_may_have_fields_of_any_name_but_one(
    queue: Queue, valkey: Any, prefix: str
) -> None:
    await queue.publish_event("colour", **{"name": "x", "self": "y"})

    ((_, fields),) = valkey.xrange(f"{prefix}:q:events")
    assert {b"event": b"colour", b"name": b"x", b"self": b"y"} == fields
    with pytest.raises(ConfigError, match="called 'event'"):
        await queue.publish_event("colour", **{"event": "completed", "jobId": "7"})
    assert 1 == valkey.xlen(f"{prefix}:q:events")


async def test_events_are_trimmed_to_a_length(queue: Queue, valkey: Any, prefix: str) -> None:
    key = f"{prefix}:q:events"
    for number in range(250):
        valkey.xadd(key, {"event": "n", "number": number})

    assert 243 == await queue.trim_events(7)

    assert [b"%d" % n for n in range(243, 250)] == [f[b"number"] for _, f in valkey.xrange(key)]
    assert 0 == await queue.trim_events(7)
    assert 7 == await queue.trim_events(0)
    with pytest.raises(ConfigError, match="max_length is -1"):
        await queue.trim_events(-1)


async def test_workers_of_every_kind_are_seen(queue: Queue, valkey_url: str, prefix: str) -> None:
    names = [
        queue._keys.worker_connection_name("ours"),
        f"{prefix}:q:w:python",
        f"{prefix}:q",
        f"{prefix}:other:w:python",
        f"{prefix}:q-2:w:python",
        f"{prefix}:q:events",
    ]
    clients = [redis.Redis.from_url(valkey_url, client_name=name) for name in names]
    for client in clients:
        client.ping()

    workers = await queue.get_workers()

    for client in clients:
        client.close()
    assert ["", "ours", "python"] == sorted(worker.name for worker in workers)


async def test_all_jobs_of_a_state_are_gone_through(queue: Queue) -> None:
    added = await queue.add_many([JobSpec(name="n", data={"i": n}) for n in range(23)])

    found = [job.id async for job in queue.iter_jobs(JobState.WAITING, page=5)]

    assert [job.id for job in added] == found
    assert [] == [job async for job in queue.iter_jobs(JobState.FAILED)]
