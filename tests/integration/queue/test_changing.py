"""Changing delays and priorities, promoting all, cancelling, obliterating."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests.integration.queue.hand import Hand

from oxcart import Deduplication, JobSpec, JobState, Queue
from oxcart.errors import ConfigError, JobNotFound, JobNotInState, QueueBusy


async def test_delay_counts_from_the_change(queue: Queue) -> None:
    job = await queue.add("n", delay="1h")

    await job.change_delay("5s")
    assert 5_000 == (await job.refresh()).delay_ms

    await job.change_delay(datetime.now(UTC) + timedelta(minutes=10))
    assert 590_000 < (await job.refresh()).delay_ms < 601_000


async def test_only_delayed_jobs_change_their_delay(queue: Queue) -> None:
    job = await queue.add("n")

    with pytest.raises(JobNotInState, match="not delayed"):
        await job.change_delay("5s")
    with pytest.raises(JobNotFound):
        await queue.change_delay("nope", "5s")
    with pytest.raises(ConfigError, match="time zone"):
        await job.change_delay(datetime(2030, 1, 1))  # noqa: DTZ001  # what is refused


async def test_priority_changes_the_order(queue: Queue, hand: Hand) -> None:
    jobs = [await queue.add("n", priority=5) for _ in range(3)]
    await jobs[2].change_priority(1)
    await jobs[1].change_priority(5, lifo=True)

    assert [jobs[2].id, jobs[1].id, jobs[0].id] == await hand.take(3)
    with pytest.raises(ConfigError, match="priority is -1"):
        await jobs[0].change_priority(-1)
    with pytest.raises(JobNotFound):
        await queue.change_priority("nope", 1)


async def test_priority_of_a_delayed_job_counts_when_it_is_due(queue: Queue) -> None:
    job = await queue.add("n", delay="1h")

    await job.change_priority(7)
    await job.promote()

    assert await job.state() is JobState.PRIORITIZED


async def test_all_delayed_jobs_are_promoted(queue: Queue) -> None:
    await queue.add_many([JobSpec(name="n") for _ in range(2)])
    for minutes in (1, 60, 100_000):
        await queue.add("n", delay=f"{minutes}m")

    assert 3 == await queue.promote_all()

    counts = await queue.get_counts()
    assert (5, 0) == (counts.waiting, counts.delayed)


@pytest.mark.parametrize("options", [{}, {"priority": 3}, {"delay": "1h"}])
async def test_cancelled_job_is_failed_without_being_run(
    queue: Queue, hand: Hand, options: dict[str, Any]
) -> None:
    await queue.add("n")
    job = await queue.add("n", **options)

    assert not await job.cancel("no longer wanted")

    assert [job.id] == await hand.take(), "it goes first"
    assert "no longer wanted" == (await job.refresh()).deferred_failure


async def test_finished_or_missing_jobs_are_not_cancelled(queue: Queue, hand: Hand) -> None:
    job = await queue.add("n")
    await hand.take()
    await hand.complete(job.id)

    with pytest.raises(JobNotInState, match="is finished already; nothing was changed"):
        await job.cancel()
    with pytest.raises(JobNotFound):
        await queue.cancel("nope")


async def test_running_job_whose_cancellation_comes_too_late_is_completed(
    queue: Queue, hand: Hand
) -> None:
    job = await queue.add("n")
    await hand.take()

    assert await job.cancel()
    await hand.complete(job.id)

    assert await job.state() is JobState.COMPLETED
    assert (await job.refresh()).deferred_failure is None


async def test_obliterated_queue_leaves_no_key(
    queue: Queue, hand: Hand, valkey: Any, prefix: str
) -> None:
    done = await queue.add("n", deduplication=Deduplication(id="kept", ttl="1h"))
    await hand.take()
    await hand.complete(done.id)
    await queue.add("n", deduplication="d")
    await queue.add("n", priority=1)
    await queue.add("n", delay="1h")
    await queue.add_log(done.id, "row")
    await queue.rate_limit("1h")
    await queue.set_concurrency(3)

    valkey.set(f"{prefix}:q2:oxcart:add-1", "of another queue")

    await queue.obliterate()

    assert [f"{prefix}:q2:oxcart:add-1".encode()] == valkey.keys(f"{prefix}:*")
    assert (await queue.add("n")).is_new, "and it can be used again"


async def test_queue_with_running_jobs_is_obliterated_by_force_alone(
    queue: Queue, hand: Hand
) -> None:
    job = await queue.add("n")
    await hand.take()

    with pytest.raises(QueueBusy, match="stays paused"):
        await queue.obliterate()
    assert await queue.is_paused()
    assert await job.state() is JobState.ACTIVE

    await queue.obliterate(force=True)
    assert await job.state() is JobState.UNKNOWN


async def test_many_jobs_are_obliterated_in_parts(queue: Queue) -> None:
    await queue.add_many([JobSpec(name="n") for _ in range(2_500)])

    await queue.obliterate()

    assert 0 == (await queue.get_counts()).pending


async def test_jobs_in_no_state_are_removed_and_no_other(
    queue: Queue, hand: Hand, valkey: Any, prefix: str
) -> None:
    done = await queue.add("n", job_id="done")
    await hand.take()
    await hand.complete(done.id)
    await queue.add_log(done.id, "row")
    kept = [done, await queue.add("n"), await queue.add("n", delay="1h")]
    kept.append(await queue.add("n", priority=1, deduplication="kept"))
    stray = await queue.add("n", job_id="stray", deduplication="d")
    valkey.lrem(f"{prefix}:q:wait", 0, stray.id)
    valkey.rpush(f"{prefix}:q:gone:logs", "row")
    valkey.set(f"{prefix}:q:gone:lock", "token")
    before = set(valkey.keys(f"{prefix}:*"))

    assert ["stray"] == await queue.remove_stray_jobs()

    left = set(valkey.keys(f"{prefix}:*"))
    names = {"stray", "de:d", "gone:logs", "gone:lock"}
    assert before - left == {f"{prefix}:q:{name}".encode() for name in names}
    assert [True] * 4 == [await queue.get_job(job.id) is not None for job in kept]


async def test_no_job_is_older_than_time_itself(queue: Queue) -> None:
    await queue.add("n")

    assert [] == await queue.clean("36500d", state=JobState.WAITING)

    assert 1 == (await queue.get_counts()).waiting
