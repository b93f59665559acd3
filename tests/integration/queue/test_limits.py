"""A queue's own limits, set and read."""

from __future__ import annotations

import pytest
import redis
from tests.integration.queue.hand import Hand

from oxcart import JobSpec, Queue, RateLimit
from oxcart.errors import ConfigError


async def test_concurrency_holds_takes_back(queue: Queue, hand: Hand) -> None:
    await queue.add_many([JobSpec(name="n") for _ in range(5)])
    await queue.set_concurrency(2)

    taken = await hand.take(5)

    assert 2 == len(taken)
    assert await queue.is_maxed()
    assert [] == await hand.take(5)
    await hand.complete(taken[0])
    assert not await queue.is_maxed()
    assert 1 == len(await hand.take(5))


async def test_concurrency_is_read_and_lifted(queue: Queue, hand: Hand) -> None:
    assert await queue.get_concurrency() is None
    await queue.set_concurrency(1)
    assert 1 == await queue.get_concurrency()
    with pytest.raises(ConfigError, match="concurrency is 0"):
        await queue.set_concurrency(0)

    await queue.set_concurrency(None)

    await queue.add_many([JobSpec(name="n") for _ in range(3)])
    assert 3 == len(await hand.take(3))
    assert not await queue.is_maxed()


async def test_rate_limit_admits_so_many_a_window(queue: Queue, hand: Hand) -> None:
    await queue.add_many([JobSpec(name="n") for _ in range(5)])
    await queue.set_rate_limit(RateLimit(max=3, per="1h"))

    assert 3 == len(await hand.take(5))
    assert [] == await hand.take(5)
    assert 0 < await queue.get_rate_limit_ttl() <= 3_600_000

    assert await queue.remove_rate_limit()
    assert 2 == len(await hand.take(5)), "a new window"


async def test_rate_limit_is_always_written_whole(
    queue: Queue, valkey: redis.Redis, prefix: str
) -> None:
    """One field alone stops BullMQ's workers."""
    limit = RateLimit(max=3, per="10s")
    await queue.set_rate_limit(limit)
    assert [b"3", b"10000"] == valkey.hmget(f"{prefix}:q:meta", "max", "duration")
    assert limit.per_ms == 10_000
    assert limit == await queue.get_rate_limit()

    await queue.set_rate_limit(None)

    assert [None, None] == valkey.hmget(f"{prefix}:q:meta", "max", "duration")
    assert await queue.get_rate_limit() is None


async def test_maximum_without_a_window_is_no_limit(
    queue: Queue, hand: Hand, valkey: redis.Redis, prefix: str
) -> None:
    await queue.add_many([JobSpec(name="n") for _ in range(3)])
    valkey.hset(f"{prefix}:q:meta", "max", "1")

    assert 3 == len(await hand.take(3))


async def test_window_that_was_left_without_an_end_is_ended(
    queue: Queue, hand: Hand, valkey: redis.Redis, prefix: str
) -> None:
    await queue.add("n")
    await queue.set_rate_limit(RateLimit(max=1, per="1h"))
    valkey.set(f"{prefix}:q:limiter", "7")

    assert 1 == len(await hand.take())
    assert valkey.pttl(f"{prefix}:q:limiter") > 0


async def test_queue_held_back_by_hand_gives_nothing(queue: Queue, hand: Hand) -> None:
    await queue.add("n")
    await queue.rate_limit("1h")

    assert [] == await hand.take()
    assert 0 < await queue.get_rate_limit_ttl(max=5) <= 3_600_000
    assert await queue.remove_rate_limit()
    assert not await queue.remove_rate_limit()
    assert 1 == len(await hand.take())


async def test_time_left_is_asked_without_a_limit(queue: Queue) -> None:
    assert await queue.get_rate_limit_ttl() < 0
    assert 0 == await queue.get_rate_limit_ttl(max=5)


@pytest.mark.parametrize(
    ("most", "per", "problem"),
    [
        (0, "1s", "max is 0"),
        (1.5, "1s", "max is 1.5"),
        (True, "1s", "max is True"),
        (1, "0s", "per is '0s'"),
    ],
)
def test_wrong_rate_limit_is_refused(most: int, per: str, problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        RateLimit(max=most, per=per)


async def test_caller_learns_whether_there_was_a_limit(queue: Queue) -> None:
    assert not await queue.set_concurrency(None)
    assert not await queue.set_concurrency(3)
    assert await queue.set_concurrency(4)
    assert await queue.set_concurrency(None)
    assert not await queue.set_concurrency(None)
    assert not await queue.set_rate_limit(RateLimit(max=1, per="1s"))
    assert await queue.set_rate_limit(None)
    assert not await queue.set_rate_limit(None)
