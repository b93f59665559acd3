"""Connections that are kept at hand for the next call, and are broken by the time it comes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError
from tests.faults.proxy import FaultProxy
from tests.support import wait_until

from oxcart import Queue
from oxcart.errors import StoreUnavailable

KEPT = 5


@pytest.fixture
async def proxy(valkey_url: str) -> AsyncIterator[FaultProxy]:
    async with FaultProxy(valkey_url).running() as running:
        yield running


@pytest.fixture
async def queue(proxy: FaultProxy, prefix: str) -> AsyncIterator[Queue]:
    """A queue behind the proxy, with some connections that it keeps."""
    async with Queue("q", redis_url=proxy.url, prefix=prefix) as opened:
        await opened.add("work", job_id="one")
        async with asyncio.TaskGroup() as group:
            for _ in range(KEPT):
                group.create_task(opened.update_progress("one", 1))
        yield opened


async def failures_of(call: Callable[[], Awaitable[object]]) -> int:
    """How many of some calls fail, one after the other."""
    count = 0
    for _ in range(KEPT):
        try:
            await call()
        except StoreUnavailable:
            count += 1
    return count


async def test_reset_connection_is_made_anew(queue: Queue, proxy: FaultProxy) -> None:
    proxy.cut()
    kept = queue._store._lines[asyncio.get_running_loop()]._idle
    assert KEPT == len(kept)
    await wait_until(lambda: not any(one.is_open for one in kept), what="the resets to arrive")

    assert await failures_of(lambda: queue.add_log("one", "a row")) == 0


async def test_plain_command_on_a_reset_connection_fails_as_a_store_error(
    queue: Queue, proxy: FaultProxy
) -> None:
    """Such commands go over the client's own pool; on uvloop a RuntimeError was raised."""
    client: Any = await queue._store._client()
    connection = await client.connection_pool.get_connection()
    await client.connection_pool.release(connection)
    proxy.cut()
    transport = connection._writer.transport
    await wait_until(transport.is_closing, what="the reset to arrive")

    async def ping() -> None:
        await connection.send_command("PING")  # asyncio's own loop takes it all the same
        await connection.read_response()

    with pytest.raises(RedisConnectionError):
        await ping()
    assert not connection.is_connected


async def test_all_kept_connections_are_given_up_with_the_first_that_is_broken(
    queue: Queue, proxy: FaultProxy
) -> None:
    proxy.forget()

    # The one call that may not be sent twice; the others go over new connections.
    assert await failures_of(lambda: queue.add_log("one", "a row")) == 1


async def test_call_that_may_be_sent_twice_gets_a_new_connection(
    queue: Queue, proxy: FaultProxy
) -> None:
    proxy.forget()

    assert await failures_of(lambda: queue.update_progress("one", 2)) == 0


async def test_few_connections_are_enough_for_calls_of_all_kinds(
    valkey_url: str, prefix: str
) -> None:
    url = f"{valkey_url}?max_connections=2"
    async with Queue("q", redis_url=url, prefix=prefix) as queue:
        await queue.add("work", job_id="one")
        async with asyncio.TaskGroup() as group:
            for _ in range(2):
                group.create_task(queue.update_progress("one", 1))

        assert (await queue.get_logs("one")).count == 0
