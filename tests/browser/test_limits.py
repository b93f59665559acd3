"""Bull Board's limits of a queue: how many jobs run at a time, and how many start in a time."""

from __future__ import annotations

import pytest
import redis
from tests.browser.board import Board
from tests.browser.depot import Depot, until_idle
from tests.integration.engine.running import all_ended, until

from oxcart import Queue, RateLimit

pytestmark = pytest.mark.usefixtures("whole_queue")


async def test_concurrency_set_on_the_board_is_obeyed_by_our_workers(
    board: Board, depot: Depot, queue: Queue, valkey: redis.Redis, prefix: str
) -> None:
    await board.put("concurrency", {"concurrency": 2})
    assert 2 == await queue.get_concurrency()

    for number in range(5):
        await queue.add("hold", {"number": number})
    async with depot.open(concurrency=5):
        await until(lambda: has_active(queue, 2), what="two jobs to be active")
        await until_idle(valkey, prefix)
        assert 2 == (await board.shown())["counts"]["active"]
        assert await queue.is_maxed()

        depot.release()

        await all_ended(queue)
    assert 5 == len(depot.delivered)


async def test_concurrency_set_by_oxcart_is_shown_and_lifted_on_the_board(
    board: Board, queue: Queue
) -> None:
    await queue.set_concurrency(3)
    assert 3 == (await board.shown())["globalConcurrency"]

    await board.put("concurrency", {"concurrency": 0})

    assert await queue.get_concurrency() is None


async def test_rate_limit_set_on_the_board_is_obeyed_by_our_workers(
    board: Board, depot: Depot, queue: Queue
) -> None:
    await board.put("rate-limit", {"max": 2, "duration": 60_000})
    limit = await queue.get_rate_limit()
    assert limit is not None
    assert (2, 60_000) == (limit.max, limit.per_ms)

    for number in range(5):
        await queue.add("deliver", {"number": number})
    async with depot.open():
        await until(lambda: is_limited(board), what="the board to show that jobs are held back")
        await depot.until_delivered(2)
        assert 3 == (await board.shown())["counts"]["waiting"]

        await board.put("rate-limit/release")

        await depot.until_delivered(4)
        assert 0 < await queue.get_rate_limit_ttl() <= 60_000
    assert [0, 1, 2, 3] == [data["number"] for data in depot.delivered]


async def test_rate_limit_set_by_oxcart_is_shown_and_lifted_on_the_board(
    board: Board, queue: Queue
) -> None:
    await queue.set_rate_limit(RateLimit(max=10, per="5s"))
    assert {"max": 10, "duration": 5_000} == (await board.get("rate-limit"))["rateLimit"]

    await board.put("rate-limit", {"max": None})

    assert await queue.get_rate_limit() is None


async def has_active(queue: Queue, count: int) -> bool:
    """Whether so many jobs are active."""
    return (await queue.get_counts()).active == count


async def is_limited(board: Board) -> bool:
    """Whether the board shows that the queue's rate is reached."""
    return ((await board.shown()).get("activeRateLimitTtl") or 0) > 0
