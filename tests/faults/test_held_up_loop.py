"""A program that holds up its own event loop for longer than the server is given to answer."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator

import pytest
import uvloop
from tests.faults.proxy import FaultProxy

from oxcart import Queue
from oxcart._store.connection import Timeouts
from oxcart.errors import StoreTimeout

GIVEN = Timeouts(connect="400ms", command="400ms")
HELD_UP_SECONDS = 0.7
TURNS = range(1, 7)
"""How far a call has come when the loop is held up: connecting, greeting, sending, reading."""

Use = Callable[[Queue], Awaitable[object]]


@pytest.fixture(params=[asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def runner(request: pytest.FixtureRequest) -> Iterator[asyncio.Runner]:
    with asyncio.Runner(loop_factory=request.param) as opened:
        yield opened


async def ping(queue: Queue) -> object:
    return await queue.ping()


async def add(queue: Queue) -> object:
    return await queue.add("work")


async def hold_up_during(use: Use, queue: Queue, *, turns: int) -> bool:
    """Use a queue and hold up the loop meanwhile; whether it had not come to its end by then."""
    async with asyncio.TaskGroup() as group:
        task = group.create_task(_awaited(use(queue)))
        for _ in range(turns):
            await asyncio.sleep(0)
        is_under_way = not task.done()
        time.sleep(HELD_UP_SECONDS)  # noqa: ASYNC251  # what must not be done is done here
    return is_under_way


async def _awaited(use: Awaitable[object]) -> None:
    await use


@pytest.mark.parametrize("turns", TURNS)
def test_server_is_not_blamed_while_connecting(
    runner: asyncio.Runner, valkey_url: str, prefix: str, turns: int
) -> None:
    async def connecting() -> None:
        async with Queue("q", redis_url=valkey_url, prefix=prefix, timeouts=GIVEN) as queue:
            await hold_up_during(add, queue, turns=turns)

    runner.run(connecting())


@pytest.mark.parametrize("use", [ping, add])
def test_server_is_not_blamed_for_its_reply(
    runner: asyncio.Runner, valkey_url: str, prefix: str, use: Use
) -> None:
    async def reading() -> None:
        async with Queue("q", redis_url=valkey_url, prefix=prefix, timeouts=GIVEN) as queue:
            await use(queue)
            assert await hold_up_during(use, queue, turns=1)

    runner.run(reading())


def test_server_that_is_silent_is_blamed_all_the_same(
    runner: asyncio.Runner, valkey_url: str, prefix: str
) -> None:
    async def silenced() -> None:
        async with (
            FaultProxy(valkey_url).running() as proxy,
            Queue("q", redis_url=proxy.url, prefix=prefix, timeouts=GIVEN) as queue,
        ):
            await add(queue)
            proxy.stall()
            with pytest.raises(StoreTimeout):
                await add(queue)
            with pytest.raises(StoreTimeout):
                await ping(queue)

    runner.run(silenced())
