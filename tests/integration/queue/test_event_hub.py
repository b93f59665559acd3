"""The shared reader of a queue's events."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest
import redis
from tests.support import ValkeyServer, wait_until

from oxcart import EventName, Queue, QueueEvent
from oxcart.errors import StoreUnavailable
from oxcart.event_hub import EventHub, Notice, Subscription


@pytest.fixture
async def queue(valkey_url: str, prefix: str) -> AsyncIterator[Queue]:
    async with Queue("q", redis_url=valkey_url, prefix=prefix) as queue:
        yield queue


@pytest.fixture
async def hub(queue: Queue) -> AsyncIterator[EventHub]:
    async with EventHub(queue) as hub:
        yield hub


async def taken(subscription: Subscription, count: int) -> list[QueueEvent | Notice | None]:
    return [await subscription.get(within_s=10) for _ in range(count)]


def readers(valkey: redis.Redis) -> int:
    return sum(client["cmd"] == "xread" for client in valkey.client_list())


async def test_subscribers_share_one_connection_and_get_the_events_of_their_job(
    queue: Queue, hub: EventHub, valkey: redis.Redis
) -> None:
    before = readers(valkey)
    async with AsyncExitStack() as stack:
        subscriptions = [
            await stack.enter_async_context(hub.subscribe(str(n % 2 + 1))) for n in range(50)
        ]
        await wait_until(lambda: readers(valkey) > before, what="the reader")
        for _ in range(2):
            await queue.add("job", {})

        found = [[item.name for item in await taken(each, 2) if isinstance(item, QueueEvent)]
                 for each in subscriptions]  # fmt: skip

        assert [[EventName.ADDED, EventName.WAITING]] * 50 == found
        assert 50 == hub.subscriber_count
        assert before + 1 == readers(valkey)
    assert 0 == hub.subscriber_count


async def test_subscriber_that_does_not_keep_up_is_dropped_and_the_others_are_not(
    queue: Queue,
) -> None:
    async with (
        EventHub(queue, buffer=5) as hub,
        hub.subscribe("slow") as slow,
        hub.subscribe("1") as quick,
    ):
        for number in range(6):
            await queue.publish_event("step", jobId="slow", number=number)
        await queue.add("job", {})

        assert EventName.ADDED == (await taken(quick, 1))[0].name  # type: ignore[union-attr]
        assert [Notice.OVERFLOW, Notice.OVERFLOW] == await taken(slow, 2)


async def missed(hub: EventHub, job_id: str, *, after: str) -> list[str] | None:
    async with hub.subscribe(job_id, after=after) as events:
        return None if events.missed is None else [event.id for event in events.missed]


async def test_events_after_an_id_are_replayed_from_what_all_share(
    queue: Queue, hub: EventHub
) -> None:
    ids = [await queue.publish_event("step", jobId="7", number=n) for n in range(2_500)]
    other = await queue.publish_event("step", jobId="8")

    async with hub.subscribe("7", after=ids[600]) as live:
        assert live.missed is not None
        assert ids[601:] == [event.id for event in live.missed]
        assert {"number": "601"} == live.missed[0].data
        assert other == live.position
        last = await queue.publish_event("step", jobId="7", number=2_500)
        assert [last] == [item.id for item in await taken(live, 1)]  # type: ignore[union-attr]

    assert [*ids[601:], last] == await missed(hub, "7", after=ids[600])
    assert [last] == await missed(hub, "7", after=other)
    assert [] == await missed(hub, "7", after=last)
    assert await missed(hub, "7", after="not-an-id") is None


async def test_events_that_were_trimmed_are_not_replayed(queue: Queue, hub: EventHub) -> None:
    first, *_ = [await queue.publish_event("step", jobId="7") for _ in range(5)]
    await queue.trim_events(3)

    assert await missed(hub, "7", after=first) is None
    assert await missed(hub, "7", after="1-0") is None


async def test_stream_that_is_trimmed_faster_than_it_is_read_is_announced(
    queue: Queue, valkey: redis.Redis, prefix: str
) -> None:
    key = f"{prefix}:q:events"
    async with EventHub(queue, page=2) as hub, hub.subscribe("7") as events:
        await queue.publish_event("step", jobId="7", number=0)
        await taken(events, 1)
        with valkey.pipeline(transaction=True) as changes:
            for number in range(10):
                changes.xadd(key, {"event": "step", "jobId": "7", "number": number})
            changes.xtrim(key, maxlen=3, approximate=False)
            *_, last, _ = changes.execute()

        assert [Notice.RESYNC] == await taken(events, 1)
        after = await queue.publish_event("step", jobId="7", number=10)
        assert [after] == [item.id for item in await taken(events, 1)]  # type: ignore[union-attr]
        assert [after] == await missed(hub, "7", after=last.decode())
        assert await missed(hub, "7", after="1-0") is None


async def test_reading_goes_on_when_the_server_is_back(
    own_valkey: ValkeyServer, prefix: str
) -> None:
    async with (
        Queue("q", redis_url=own_valkey.url, prefix=prefix) as queue,
        EventHub(queue) as hub,
        hub.subscribe("1") as events,
    ):
        await asyncio.to_thread(own_valkey.kill)
        assert [Notice.DISCONNECTED] == await taken(events, 1)
        await asyncio.to_thread(own_valkey.start)
        assert [Notice.RESYNC] == await taken(events, 1)
        await queue.add("job", {})
        assert EventName.ADDED == (await taken(events, 1))[0].name  # type: ignore[union-attr]


async def test_subscribing_without_a_server_fails_at_once_and_leaves_nothing(
    own_valkey: ValkeyServer, prefix: str
) -> None:
    async with Queue("q", redis_url=own_valkey.url, prefix=prefix) as queue, EventHub(queue) as hub:
        own_valkey.kill()
        with pytest.raises(StoreUnavailable):
            async with hub.subscribe("1"):
                pass
        assert (0, False) == (hub.subscriber_count, hub.is_reading)


async def test_hub_without_subscribers_stops_reading_and_starts_again(queue: Queue) -> None:
    async with EventHub(queue, linger_s=0) as hub:
        async with hub.subscribe("1"):
            assert hub.is_reading
        await queue.publish_event("step", jobId="x")  # ends the wait under way
        await wait_until(lambda: not hub.is_reading, what="the reader to stop")

        async with hub.subscribe("1") as events:
            await queue.add("job", {})
            assert EventName.ADDED == (await taken(events, 1))[0].name  # type: ignore[union-attr]


async def test_closing_the_hub_ends_every_subscription(queue: Queue) -> None:
    hub = EventHub(queue)
    async with hub.subscribe("1") as events:
        await hub.aclose()

        assert [Notice.CLOSED, Notice.CLOSED] == await taken(events, 2)
    assert not hub.is_reading
