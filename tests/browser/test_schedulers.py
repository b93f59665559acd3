"""What Bull Board shows of schedulers that oxcart made, and does to them."""

from __future__ import annotations

from typing import Any

import pytest
from tests.browser.board import QUEUE, Board, BoardRefused
from tests.browser.depot import Depot
from tests.integration.engine.running import is_in

from oxcart import JobState, Queue, Schedule

HOUR_MS = 3_600_000


async def listed(board: Board) -> list[Any]:
    """The schedulers as their page shows them."""
    answer = await board.ask("GET", "job-schedulers", params={"queueName": QUEUE})
    schedulers: list[Any] = answer["schedulers"]
    return schedulers


async def test_scheduler_is_shown_with_its_schedule_its_template_and_its_next_run(
    board: Board, queue: Queue
) -> None:
    job = await queue.upsert_scheduler(
        "rounds", Schedule.every("1h"), "deliver", {"to": "Ada"}, attempts=4
    )

    (shown,) = await listed(board)

    assert ("rounds", "deliver", HOUR_MS) == (shown["id"], shown["name"], shown["every"])
    assert {"to": "Ada"} == shown["template"]["data"]
    assert 4 == shown["template"]["opts"]["attempts"]
    ours = await queue.get_scheduler("rounds")
    assert ours is not None
    assert (ours.next_at_ms, ours.iterations) == (shown["next"], shown["iterationCount"])
    assert job.id == shown["nextRunJobId"]
    assert 1 == (await board.shown())["jobSchedulerCount"]


async def test_scheduler_that_has_run_is_shown_with_its_last_run_and_the_next(
    board: Board, depot: Depot, queue: Queue
) -> None:
    first = await queue.upsert_scheduler("rounds", Schedule.every("1h"), "deliver")
    async with depot.open():
        await is_in(queue, first, JobState.COMPLETED)

    (shown,) = await listed(board)

    (following,) = await queue.get_jobs(JobState.DELAYED)
    assert (first.id, following.id) == (shown["lastRunJobId"], shown["nextRunJobId"])
    assert 2 == shown["iterationCount"]
    assert following.created_at_ms == shown["lastRun"]


async def test_scheduler_with_a_pattern_is_shown_with_it_and_its_time_zone(
    board: Board, queue: Queue
) -> None:
    schedule = Schedule.cron("0 30 9 * * 1-5", tz="Europe/Madrid")
    await queue.upsert_scheduler("mornings", schedule, "deliver")

    (shown,) = await listed(board)

    assert ("0 30 9 * * 1-5", "Europe/Madrid") == (shown["pattern"], shown["tz"])
    (job,) = await queue.get_jobs(JobState.DELAYED)
    assert job.created_at_ms + job.delay_ms == shown["next"]


async def test_run_now_makes_a_job_that_our_worker_runs(
    board: Board, depot: Depot, queue: Queue
) -> None:
    await queue.upsert_scheduler("mornings", Schedule.cron("0 0 9 1 1 *"), "deliver", {"to": "Ada"})
    async with depot.open():
        await board.put("job-schedulers/mornings/run")

        await depot.until_delivered(1)
    assert [{"to": "Ada"}] == depot.delivered
    assert 1 == await queue.count_schedulers()


async def test_schedule_changed_on_the_board_is_what_oxcart_goes_by(
    board: Board, depot: Depot, queue: Queue
) -> None:
    await queue.upsert_scheduler("mornings", Schedule.cron("0 0 9 1 1 *"), "deliver", {"to": "Ada"})
    async with depot.open():
        await board.patch("job-schedulers/mornings", {"every": 200})

        # Each run makes the next one: the second proves that ours did.
        await depot.until_delivered(3)
        await board.put("job-schedulers/mornings/remove")
        assert 0 == await queue.count_schedulers()
    assert {"to": "Ada"} == depot.delivered[2]
    assert [] == await listed(board)


async def test_scheduler_removed_on_the_board_is_gone_with_its_next_run(
    board: Board, queue: Queue
) -> None:
    await queue.upsert_scheduler("mornings", Schedule.cron("0 0 9 1 1 *"), "deliver")

    await board.put("job-schedulers/mornings/remove")

    assert await queue.get_scheduler("mornings") is None
    assert [] == await queue.get_schedulers()
    assert 0 == (await queue.get_counts()).delayed


async def test_next_run_of_a_scheduler_cannot_be_removed_alone(board: Board, queue: Queue) -> None:
    job = await queue.upsert_scheduler("mornings", Schedule.cron("0 0 9 1 1 *"), "deliver")

    with pytest.raises(BoardRefused) as refused:
        await board.act_on(job.id, "clean")

    assert "JOB_BELONGS_TO_JOB_SCHEDULER" == refused.value.body["code"]
    assert "mornings" == refused.value.body["jobSchedulerId"]
    assert await queue.get_job(job.id) is not None
