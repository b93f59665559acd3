"""What Bull Board's buttons of one job do, and what oxcart makes of it."""

from __future__ import annotations

from typing import Any

import pytest
import redis
from tests.browser.board import Board, BoardRefused
from tests.browser.depot import REASON, Depot, until_idle
from tests.integration.engine.running import is_in, until

from oxcart import JobState, Queue

pytestmark = pytest.mark.usefixtures("whole_queue")

REMOVABLE = [
    JobState.WAITING, JobState.DELAYED, JobState.PRIORITIZED, JobState.COMPLETED, JobState.FAILED,
]  # fmt: skip


async def test_retried_job_is_run_to_completion_and_its_attempts_are_counted_on(
    board: Board, depot: Depot, queue: Queue
) -> None:
    async with depot.open():
        failed = await queue.add("lose", {"to": "Bob"}, attempts=2)
        await is_in(queue, failed, JobState.FAILED)
        depot.is_mended = True

        await board.act_on(failed.id, "retry")

        job = await is_in(queue, failed, JobState.COMPLETED)
        assert {"delivered": {"to": "Bob"}} == job.return_value
        assert 3 == job.attempts_made == job.attempts_started
    shown = await board.job(failed.id)
    assert ("completed", 3) == (shown["status"], shown["attempts"])
    assert not shown.get("failedReason")


async def test_retried_job_may_fail_again_and_keeps_the_older_stacktrace(
    board: Board, depot: Depot, queue: Queue
) -> None:
    async with depot.open():
        failed = await queue.add("lose")
        first = await is_in(queue, failed, JobState.FAILED)

        await board.act_on(failed.id, "retry")

        await is_failed_again(queue, failed.id, attempts=2)
    shown = await board.job(failed.id)
    assert REASON == shown["failedReason"]
    assert [first.stacktrace[0], shown["stacktrace"][1]] == shown["stacktrace"]


async def is_failed_again(queue: Queue, job_id: str, *, attempts: int) -> None:
    """Wait until a job has failed after so many attempts."""

    async def has_failed() -> bool:
        job = await queue.get_job(job_id)
        assert job is not None
        return job.attempts_made == attempts and await job.state() is JobState.FAILED

    await until(has_failed, what=f"job {job_id} to fail again")


async def test_completed_job_can_be_run_again(board: Board, depot: Depot, queue: Queue) -> None:
    async with depot.open():
        job = await queue.add("deliver", {"to": "Ada"})
        await is_in(queue, job, JobState.COMPLETED)

        await board.act_on(job.id, "retry")

        await depot.until_delivered(2)
        await is_in(queue, job, JobState.COMPLETED)


async def test_promoted_job_wakes_an_idle_worker_which_runs_it(
    board: Board, depot: Depot, queue: Queue, valkey: redis.Redis, prefix: str
) -> None:
    job = await queue.add("deliver", {"to": "Ed"}, delay="1h")
    async with depot.open():
        await until_idle(valkey, prefix)

        await board.act_on(job.id, "promote")

        await is_in(queue, job, JobState.COMPLETED)
    assert [{"to": "Ed"}] == depot.delivered


@pytest.mark.parametrize("state", REMOVABLE)
async def test_removed_job_is_gone_with_its_logs(
    board: Board, depot: Depot, queue: Queue, state: JobState
) -> None:
    async with depot.with_parcels() as parcels:
        job = parcels.by_state()[state]
        before = await queue.get_counts()

        await board.act_on(job.id, "clean")

        assert await queue.get_job(job.id) is None
        assert 0 == (await queue.get_logs(job.id)).count
        after = await queue.get_counts()
        name = state.name.lower()
        assert getattr(before, name) - 1 == getattr(after, name) == 0


async def test_active_job_is_not_removed_and_comes_to_its_end(
    board: Board, depot: Depot, queue: Queue
) -> None:
    async with depot.with_parcels() as parcels:
        with pytest.raises(BoardRefused) as refused:
            await board.act_on(parcels.active.id, "clean")
        assert "ERRORS.JOB_IS_ACTIVE" == refused.value.body["error"]["key"]

        depot.release()

        await is_in(queue, parcels.active, JobState.COMPLETED)


async def test_changed_data_is_what_the_handler_gets(
    board: Board, depot: Depot, queue: Queue
) -> None:
    data: dict[str, Any] = {"to": "Zoë", "grams": 1.5, "via": [], "note": None}
    job = await queue.add("deliver", {"to": "Ada"})

    await board.patch(f"{job.id}/update-data", {"jobData": data})

    assert data == (await job.refresh()).data
    async with depot.open():
        await is_in(queue, job, JobState.COMPLETED)
    assert [data] == depot.delivered


async def test_changed_delay_is_when_the_job_is_run(
    board: Board, depot: Depot, queue: Queue
) -> None:
    job = await queue.add("deliver", delay="1h")
    due_at_ms = job.created_at_ms + 2 * 3_600_000

    await board.patch(f"{job.id}/delay", {"runAt": due_at_ms})

    changed = await job.refresh()
    # Bull Board asks for a delay counted from when it is asked.
    assert due_at_ms - 60_000 < job.created_at_ms + changed.delay_ms <= due_at_ms
    assert await job.state() is JobState.DELAYED

    async with depot.open():
        await board.patch(f"{job.id}/delay", {"runAt": job.created_at_ms + 1})

        await is_in(queue, job, JobState.COMPLETED)


async def test_changed_priority_is_the_order_of_running(
    board: Board, depot: Depot, queue: Queue
) -> None:
    for number, priority in enumerate([1, 5, 9]):
        await queue.add("deliver", {"number": number}, priority=priority, job_id=f"p{priority}")

    await board.patch("p9/priority", {"priority": 3})
    await board.patch("p1/priority", {"priority": 7})

    assert {3: 1, 5: 1, 7: 1, 1: 0, 9: 0} == await queue.get_counts_per_priority([3, 5, 7, 1, 9])
    job = await queue.get_job("p9")
    assert job is not None
    assert 3 == job.priority
    async with depot.open():
        await depot.until_delivered(3)
    assert [{"number": 2}, {"number": 1}, {"number": 0}] == depot.delivered


async def test_job_added_on_the_board_is_run_with_its_options(
    board: Board, depot: Depot, queue: Queue
) -> None:
    options = {
        "attempts": 2,
        "backoff": {"type": "fixed", "delay": 1},
        "removeOnComplete": {"count": 5},
        "jobId": "by/hand",
    }

    shown = await board.add("lose", {"to": "Bob"}, options)

    job = await queue.get_job("by/hand")
    assert job is not None
    assert ("lose", {"to": "Bob"}) == (job.name, job.data)
    assert "by/hand" == shown["id"]
    assert 2 == job.max_attempts
    assert job.options.backoff is not None
    assert ("fixed", 1) == (job.options.backoff.kind, job.options.backoff.delay_ms)
    async with depot.open():
        failed = await is_in(queue, job, JobState.FAILED)
    assert 2 == failed.attempts_made == len(failed.stacktrace)


async def test_duplicate_of_a_failed_job_is_a_new_job(
    board: Board, depot: Depot, queue: Queue
) -> None:
    async with depot.with_parcels() as parcels:
        original = await board.job(parcels.failed.id)
        options = {name: value for name, value in original["opts"].items() if name != "jobId"}

        copy = await board.add(original["name"], original["data"], options)

        job = await queue.get_job(copy["id"])
        assert job is not None
        assert original["id"] != job.id
        assert parcels.failed.data == job.data
        assert (0, None, ()) == (job.attempts_made, job.failed_reason, job.stacktrace)
        assert parcels.failed.options.backoff == job.options.backoff
        depot.is_mended = True
        await queue.resume()
        await is_in(queue, job, JobState.COMPLETED)
        assert await parcels.failed.state() is JobState.FAILED


@pytest.mark.parametrize("options", [{"delay": 3_600_000}, {"priority": 4}, {"lifo": True}])
async def test_job_added_on_the_board_is_where_its_options_put_it(
    board: Board, queue: Queue, options: dict[str, Any]
) -> None:
    await queue.add("deliver", {"to": "first"})

    shown = await board.add("deliver", {"to": "second"}, options)

    job = await queue.get_job(shown["id"])
    assert job is not None
    state = await job.state()
    expected = {"delay": JobState.DELAYED, "priority": JobState.PRIORITIZED}
    assert expected.get(next(iter(options)), JobState.WAITING) is state
    next_to_run = (await queue.get_jobs(JobState.WAITING, ascending=True))[0]
    assert ({"to": "second"} if "lifo" in options else {"to": "first"}) == next_to_run.data
