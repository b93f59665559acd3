"""What is closed says so when it is used, and opens no connection that nobody closes."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import redis
from tests.twins import Api

from oxcart import App, FlowNode, Queue
from oxcart.errors import ConfigError


def connection_count(valkey: redis.Redis) -> int:
    return len(valkey.client_list())


async def test_closed_queue_and_its_jobs_refuse_to_be_used(
    api: Api, valkey: redis.Redis, valkey_url: str, prefix: str
) -> None:
    before = connection_count(valkey)
    queue = api.Queue("bills", redis_url=valkey_url, prefix=prefix)
    job = await queue.add("pay")
    await queue.aclose()

    for use in (
        lambda: queue.add("pay"),
        queue.get_counts,
        lambda: queue.get_job(job.id),
        queue.obliterate,
        job.refresh,
        job.remove,
        job.result,
    ):
        with pytest.raises(ConfigError, match=r"queue 'bills' was closed by a?close\(\)"):
            await use()

    assert before == connection_count(valkey)


async def test_closed_producer_and_its_jobs_refuse_to_be_used(
    api: Api, valkey: redis.Redis, valkey_url: str, prefix: str
) -> None:
    before = connection_count(valkey)
    producer = api.FlowProducer(redis_url=valkey_url, prefix=prefix)
    added = await producer.add(FlowNode("pay", "bills"))
    await producer.aclose()

    with pytest.raises(ConfigError, match="the flow producer was closed"):
        await producer.add(FlowNode("pay", "bills"))
    with pytest.raises(ConfigError, match="the flow producer was closed"):
        await added.job.refresh()

    assert before == connection_count(valkey)


async def test_block_opens_again_what_another_has_closed(
    api: Api, valkey_url: str, prefix: str
) -> None:
    queue: Any = api.Queue("bills", redis_url=valkey_url, prefix=prefix)
    producer: Any = api.FlowProducer(redis_url=valkey_url, prefix=prefix)

    for number in (1, 2):
        async with queue, producer:
            await queue.add("pay")
            await producer.add(FlowNode("pay", "bills"))
            assert 2 * number == (await queue.get_counts()).waiting

    with pytest.raises(ConfigError, match="was closed"):
        await queue.get_counts()


async def test_closing_twice_or_before_any_use_is_no_error(
    api: Api, valkey_url: str, prefix: str
) -> None:
    queue = api.Queue("bills", redis_url=valkey_url, prefix=prefix)

    await queue.aclose()
    await queue.aclose()

    with pytest.raises(ConfigError, match="was closed"):
        await queue.add("pay")


def test_queue_closed_in_one_event_loop_is_used_in_the_next(valkey_url: str, prefix: str) -> None:
    queue = Queue("bills", redis_url=valkey_url, prefix=prefix)

    async def add_and_close() -> int:
        await queue.add("pay")
        count = (await queue.get_counts()).waiting
        await queue.aclose()
        return count

    assert [1, 2] == [asyncio.run(add_and_close()) for _ in range(2)]


async def test_queue_of_an_application_closes_with_it_alone(valkey_url: str, prefix: str) -> None:
    app = App(valkey_url, prefix=prefix)
    queue = app.queue("bills")

    for number in (1, 2):
        async with app:
            await queue.aclose()
            await queue.add("pay")
            assert number == (await queue.get_counts()).waiting
