"""What Bull Board's buttons of a whole queue do, and what oxcart makes of it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import redis
from tests.browser.board import QUEUE, Board, BoardRefused
from tests.browser.depot import AnHourAgo, Depot, until_idle
from tests.integration.engine.running import all_ended, is_in, until

from oxcart import JobState, Queue

pytestmark = pytest.mark.usefixtures("whole_queue")

CLEANED = [
    (JobState.WAITING, "wait"),
    (JobState.DELAYED, "delayed"),
    (JobState.COMPLETED, "completed"),
    (JobState.FAILED, "failed"),
]
"""States that can be cleaned, with their name in the address."""


async def test_retry_all_runs_every_failed_job(board: Board, depot: Depot, queue: Queue) -> None:
    for number in range(5):
        await queue.add("lose", {"number": number})
    async with depot.open(concurrency=5):
        await all_ended(queue)
        assert 5 == (await queue.get_counts()).failed
        depot.is_mended = True

        answer = await board.put("retry/failed")

        assert {"retried": 5, "skipped": 0} == answer
        await until(lambda: are_completed(queue, 5), what="the jobs to complete")
    assert list(range(5)) == sorted(data["number"] for data in depot.delivered)
    assert 5 == (await board.shown())["counts"]["completed"]


async def test_retry_all_runs_every_completed_job_again(
    board: Board, depot: Depot, queue: Queue
) -> None:
    async with depot.open():
        for number in range(3):
            await queue.add("deliver", {"number": number})
        await all_ended(queue)

        await board.put("retry/completed")

        await until(lambda: are_completed(queue, 3), what="the jobs to complete again")
    assert 6 == len(depot.delivered)


async def test_promote_all_runs_every_delayed_job(board: Board, depot: Depot, queue: Queue) -> None:
    async with depot.open():
        for number in range(4):
            await queue.add("deliver", {"number": number}, delay="1h")
        urgent = await queue.add("deliver", {"number": 4}, delay="1h", priority=2)

        await board.put("promote")

        await until(lambda: are_completed(queue, 5), what="the jobs to complete")
        await is_in(queue, urgent, JobState.COMPLETED)
    assert list(range(5)) == sorted(data["number"] for data in depot.delivered)


@pytest.fixture
async def old_queue(valkey_url: str, prefix: str) -> AsyncIterator[Queue]:
    """The test's queue as it was an hour ago."""
    async with Queue(QUEUE, redis_url=valkey_url, prefix=prefix, clock=AnHourAgo()) as opened:
        yield opened


@pytest.fixture
def old_depot(valkey_url: str, prefix: str, old_queue: Queue) -> Depot:
    """The workers of an hour ago."""
    return Depot(valkey_url, prefix, old_queue, clock=AnHourAgo())


@pytest.mark.parametrize(("state", "name"), CLEANED)
async def test_clean_removes_the_jobs_of_one_state(
    board: Board, old_depot: Depot, queue: Queue, state: JobState, name: str
) -> None:
    async with old_depot.with_parcels() as parcels:
        await board.put(f"clean/{name}")

        for each, job in parcels.by_state().items():
            left = await queue.get_job(job.id)
            assert (left is None) == (each is state), each


async def test_clean_spares_the_active_job_of_a_living_worker(
    board: Board, old_depot: Depot, queue: Queue
) -> None:
    async with old_depot.with_parcels() as parcels:
        await board.put("clean/active")

        old_depot.release()
        await is_in(queue, parcels.active, JobState.COMPLETED)


async def test_empty_removes_what_is_ready_and_nothing_else(
    board: Board, depot: Depot, queue: Queue
) -> None:
    async with depot.with_parcels() as parcels:
        await board.put("empty")

        assert await queue.get_job(parcels.waiting.id) is None
        assert await queue.get_job(parcels.prioritized.id) is None
        counts = await queue.get_counts()
        assert (0, 0) == (counts.waiting, counts.prioritized)
        assert (1, 1, 1) == (counts.active, counts.completed, counts.failed)


async def test_paused_on_the_board_a_worker_takes_nothing_until_resumed(
    board: Board, depot: Depot, queue: Queue, valkey: redis.Redis, prefix: str
) -> None:
    job = await queue.add("deliver", {"to": "Ada"})
    delayed = await queue.add("deliver", {"to": "Ed"}, delay="1h")

    await board.put("pause")
    await board.act_on(delayed.id, "promote")

    assert await queue.is_paused()
    async with depot.open():
        await until_idle(valkey, prefix)
        assert 2 == (await board.shown())["counts"]["waiting"]
        assert [] == depot.delivered

        await board.put("resume")

        assert not await queue.is_paused()
        await is_in(queue, job, JobState.COMPLETED)
        await is_in(queue, delayed, JobState.COMPLETED)


async def test_paused_by_oxcart_can_be_resumed_on_the_board(
    board: Board, depot: Depot, queue: Queue
) -> None:
    await queue.pause()
    job = await queue.add("deliver")
    async with depot.open():
        await board.ask("PUT", "queues/resume")

        await is_in(queue, job, JobState.COMPLETED)
    assert not (await board.shown())["isPaused"]


async def test_every_queue_can_be_paused_at_once(board: Board, queue: Queue) -> None:
    await board.ask("PUT", "queues/pause")

    assert await queue.is_paused()
    assert (await board.shown())["isPaused"]


async def test_obliterated_queue_is_as_new(board: Board, depot: Depot, queue: Queue) -> None:
    async with depot.with_parcels():
        with pytest.raises(BoardRefused) as refused:
            await board.put("obliterate")
        assert 409 == refused.value.status
        depot.release()
        await until(lambda: has_active(queue, 0), what="the active job to end")

    await board.put("obliterate")

    assert {0} == set((await board.shown())["counts"].values())
    assert not await queue.is_paused()
    async with depot.open():
        again = await queue.add("deliver")
        await is_in(queue, again, JobState.COMPLETED)
    assert "1" == again.id


async def are_completed(queue: Queue, count: int) -> bool:
    """Whether so many jobs are completed and none is anywhere else."""
    counts = await queue.get_counts()
    return counts.completed == count and counts.pending == counts.active == counts.failed == 0


async def has_active(queue: Queue, count: int) -> bool:
    """Whether so many jobs are active."""
    return (await queue.get_counts()).active == count
