"""Moving, removing and describing jobs, and the queue's own switches."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
import redis
from tests.integration.queue.hand import Hand

from oxcart import JobOptions, JobSpec, JobState, Queue
from oxcart.errors import ConfigError, JobLocked, JobNotFound, JobNotInState


async def test_counts_follow_the_jobs(queue: Queue, hand: Hand) -> None:
    await queue.add_many([JobSpec(name="n") for _ in range(4)])
    await queue.add("n", priority=1)
    await queue.add("n", delay="1h")
    done, broken, running = await hand.take(3)
    await hand.complete(done)
    await hand.fail(broken)

    counts = await queue.get_counts()

    assert JobState.ACTIVE == await queue.get_state(running)
    assert (1, 1, 1, 1, 1, 1) == (
        counts.waiting,
        counts.prioritized,
        counts.delayed,
        counts.active,
        counts.completed,
        counts.failed,
    )
    assert 3 == counts.pending
    assert {0: 1, 1: 1, 2: 0} == await queue.get_counts_per_priority([0, 1, 2])


async def test_pages_of_a_state_go_either_way(queue: Queue) -> None:
    jobs = await queue.add_many([JobSpec(name="n") for _ in range(7)])
    ids = [job.id for job in jobs]

    next_first = [
        [
            job.id
            for job in await queue.get_jobs(JobState.WAITING, start=s, end=s + 2, ascending=True)
        ]
        for s in (0, 3, 6)
    ]
    newest_first = await queue.get_jobs(JobState.WAITING, start=0, end=-1)

    assert [ids[0:3], ids[3:6], ids[6:7]] == next_first
    assert ids[::-1] == [job.id for job in newest_first]


async def test_page_is_filled_up_past_jobs_that_vanished(
    queue: Queue, valkey: redis.Redis, prefix: str
) -> None:
    ids = [job.id for job in await queue.add_many([JobSpec(name="n") for _ in range(6)])]
    valkey.delete(f"{prefix}:q:{ids[1]}", f"{prefix}:q:{ids[2]}")

    page = await queue.get_jobs(JobState.WAITING, start=0, end=2, ascending=True)

    assert [ids[0], ids[3], ids[4]] == [job.id for job in page]


async def test_foreign_key_under_a_jobs_name_is_no_job(
    queue: Queue, valkey: redis.Redis, prefix: str
) -> None:
    valkey.set(f"{prefix}:q:stray", "not a hash")

    assert await queue.get_job("stray") is None


async def test_log_keeps_the_last_rows(queue: Queue) -> None:
    job = await queue.add("n")
    for row in ("one", "two", "three"):
        await queue.add_log(job.id, row, keep=2)

    logs = await queue.get_logs(job.id)
    await queue.clear_logs(job.id)

    assert (("two", "three"), 2) == (logs.rows, logs.count)
    assert 0 == (await queue.get_logs(job.id)).count


async def test_progress_and_data_can_be_replaced(queue: Queue) -> None:
    job = await queue.add("n", {"old": True})

    await queue.update_progress(job.id, {"rows": 5})
    await queue.update_data(job.id, ["new"])

    changed = await job.refresh()
    assert ({"rows": 5}, ["new"]) == (changed.progress, changed.data)


async def test_details_of_a_job_that_is_not_there_are_refused(queue: Queue) -> None:
    for attempt in (
        queue.update_progress("nope", 1),
        queue.update_data("nope", 1),
        queue.add_log("nope", "row"),
        queue.retry("nope"),
    ):
        with pytest.raises(JobNotFound, match="nope"):
            await attempt


async def test_job_is_removed_with_all_its_keys(
    queue: Queue, valkey: redis.Redis, prefix: str
) -> None:
    job = await queue.add("n", delay="1h")
    await queue.add_log(job.id, "row")

    await queue.remove(job.id)
    await queue.remove("never-there")

    assert [] == valkey.keys(f"{prefix}:q:{job.id}*")
    assert JobState.UNKNOWN == await job.state()


async def test_job_that_runs_is_not_removed(queue: Queue, hand: Hand) -> None:
    job = await queue.add("n")
    await hand.take()

    with pytest.raises(JobLocked):
        await queue.remove(job.id)

    assert JobState.ACTIVE == await job.state()


async def test_retried_job_keeps_its_priority_and_loses_its_reason(
    queue: Queue, hand: Hand
) -> None:
    job = await queue.add("n", priority=4)
    await hand.take()
    await hand.fail(job.id, "no disk")
    assert "no disk" == (await job.refresh()).failed_reason

    await queue.retry(job.id, resets_attempts=True)

    again = await job.refresh()
    assert (None, None, 0) == (again.failed_reason, again.finished_at_ms, again.attempts_made)
    assert JobState.PRIORITIZED == await job.state()


async def test_job_that_did_not_fail_is_not_retried(queue: Queue) -> None:
    job = await queue.add("n")

    with pytest.raises(JobNotInState, match="failed"):
        await queue.retry(job.id)
    with pytest.raises(ConfigError):
        await queue.retry(job.id, state=JobState.WAITING)


async def test_all_failed_jobs_are_put_back_oldest_first(queue: Queue, hand: Hand) -> None:
    jobs = await queue.add_many([JobSpec(name="n") for _ in range(5)])
    for job_id in await hand.take(5):
        await hand.fail(job_id)

    assert 5 == await queue.retry_all()

    assert [job.id for job in jobs] == await hand.take(5)


async def test_promoted_job_is_ready_at_once(queue: Queue, hand: Hand) -> None:
    job = await queue.add("n", delay="1h")

    await queue.promote(job.id)

    assert [job.id] == await hand.take()
    with pytest.raises(JobNotInState, match="delayed"):
        await queue.promote(job.id)


async def test_clean_removes_old_jobs_up_to_its_limit(queue: Queue, hand: Hand) -> None:
    await queue.add_many([JobSpec(name="n") for _ in range(2_300)])
    for _ in range(5):
        for job_id in await hand.take(1):
            await hand.complete(job_id)

    none = await queue.clean("1h", state=JobState.WAITING)
    some = await queue.clean("0s", limit=1_200, state=JobState.WAITING)
    rest = await queue.clean("0s", state=JobState.WAITING)
    finished = await queue.clean("0s", limit=2, state=JobState.COMPLETED)

    assert (0, 1_200, 1_095, 2) == (len(none), len(some), len(rest), len(finished))
    assert ["1", "2"] == finished
    assert 3 == (await queue.get_counts()).completed


async def test_active_jobs_with_a_lock_are_spared_by_clean(queue: Queue, hand: Hand) -> None:
    await queue.add("n")
    await hand.take()

    assert [] == await queue.clean("0s", state=JobState.ACTIVE)


@pytest.mark.parametrize(("delayed", "left"), [(False, 1), (True, 0)])
async def test_drain_takes_what_is_ready_and_delayed_jobs_if_asked(
    queue: Queue, hand: Hand, delayed: bool, left: int
) -> None:
    await queue.add_many([JobSpec(name="n") for _ in range(1_500)])
    await queue.add("n", priority=2)
    await queue.add("n", delay="1h")
    done = (await hand.take())[0]
    await hand.complete(done)

    await queue.drain(delayed=delayed)

    counts = await queue.get_counts()
    assert (left, 1) == (counts.pending, counts.completed)


async def test_paused_queue_gives_nothing_until_it_is_resumed(queue: Queue, hand: Hand) -> None:
    await queue.pause()
    job = await queue.add("n")

    assert (True, []) == (await queue.is_paused(), await hand.take())
    await queue.resume()
    assert (False, [job.id]) == (await queue.is_paused(), await hand.take())


async def test_resume_brings_back_everything_that_bullmq_5_set_aside(
    queue: Queue, valkey: redis.Redis, prefix: str
) -> None:
    await queue.add_many([JobSpec(name="n", options=JobOptions()) for _ in range(7_200)])
    valkey.rename(f"{prefix}:q:wait", f"{prefix}:q:paused")
    valkey.hset(f"{prefix}:q:meta", "paused", "1")
    await queue.add("n")
    before = await queue.get_counts()

    await queue.resume()

    assert 7_201 == before.waiting == valkey.llen(f"{prefix}:q:wait")
    assert 0 == valkey.exists(f"{prefix}:q:paused")


async def test_jobs_that_failed_before_an_instant_are_retried(
    queue: Queue, hand: Hand, valkey: redis.Redis, prefix: str
) -> None:
    ids = [job.id for job in await queue.add_many([JobSpec(name="n") for _ in range(5)])]
    for job_id in await hand.take(5):
        await hand.fail(job_id)
    for number, job_id in enumerate(ids):
        valkey.zadd(f"{prefix}:q:failed", {job_id: 1_000_000 + 1_000 * number})
    third = datetime.fromtimestamp(1_002, UTC)

    assert await queue.retry_all(before=third, count=1) == 1
    assert await queue.get_state(ids[0]) is JobState.WAITING
    assert await queue.retry_all(before=third) == 1
    assert [await queue.get_state(job_id) for job_id in ids[1:3]] == ["waiting", "failed"]
    assert await queue.retry_all(count=2) == 2
    assert await queue.retry_all() == 1


async def test_wrong_bounds_of_a_retry_are_refused(queue: Queue) -> None:
    with pytest.raises(ConfigError, match="count is 0"):
        await queue.retry_all(count=0)
    with pytest.raises(ConfigError, match="no time zone"):
        await queue.retry_all(before=datetime(2026, 1, 1))  # noqa: DTZ001  # that is the point
