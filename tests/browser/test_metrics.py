"""Bull Board's charts, from what our workers count."""

from __future__ import annotations

from tests.browser.board import Board
from tests.browser.depot import Depot
from tests.integration.engine.running import all_ended

from oxcart import JobState, Queue


async def test_finished_jobs_are_counted(board: Board, depot: Depot, queue: Queue) -> None:
    for _ in range(3):
        await queue.add("deliver")
    await queue.add("lose")
    async with depot.open(metrics=60):
        await all_ended(queue)

    shown = await board.get("metrics")

    for state, count in ((JobState.COMPLETED, 3), (JobState.FAILED, 1)):
        assert count == shown[state.value]["meta"]["count"]
        ours = await queue.get_metrics(state)
        assert count == ours.count
        assert list(ours.points) == shown[state.value]["data"]


async def test_without_metrics_nothing_is_counted(board: Board, depot: Depot, queue: Queue) -> None:
    await queue.add("deliver")
    async with depot.open():
        await all_ended(queue)

    assert 0 == (await board.get("metrics"))["completed"]["meta"]["count"]
