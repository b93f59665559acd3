"""Events and results."""

from __future__ import annotations

import asyncio
import logging
from contextlib import aclosing
from typing import Any

import pytest
import redis
from tests.integration.queue.hand import Hand
from tests.support import ValkeyServer, wait_until
from tests.twins import Api

from oxcart import (
    EventName,
    Fail,
    Job,
    JobContext,
    JobState,
    Queue,
    QueueEvent,
    QueueEvents,
    Retention,
    Worker,
)
from oxcart.errors import JobFailed, JobNotFound, ResultTimeout


async def _first(events: QueueEvents, count: int) -> list[QueueEvent]:
    found: list[QueueEvent] = []
    async with asyncio.timeout(20), aclosing(aiter(events)) as stream:  # type: ignore[type-var]
        async for event in stream:
            found.append(event)
            if len(found) == count:
                break
    return found


async def test_events_tell_a_jobs_life_with_decoded_values(
    api: Api, queue: Queue, hand: Hand, valkey_url: str, prefix: str
) -> None:
    job = await queue.add("n")
    await hand.take()
    await queue.update_progress(job.id, {"rows": 3})
    await hand.complete(job.id, b'{"url":"/x"}')

    events = await _first(api.QueueEvents("q", after="0", redis_url=valkey_url, prefix=prefix), 6)

    names = [event.name for event in events]
    assert ["added", "waiting", "active", "progress", "completed", "drained"] == names
    assert {job.id, None} == {event.job_id for event in events}
    assert {"rows": 3} == events[3].data["data"]
    assert {"url": "/x"} == events[4].data["returnvalue"]


async def test_events_can_be_resumed_after_any_of_them(
    api: Api, queue: Queue, valkey_url: str, prefix: str
) -> None:
    await queue.add("a")
    await queue.add("b")
    seen = await _first(api.QueueEvents("q", after="0", redis_url=valkey_url, prefix=prefix), 2)

    rest = await _first(
        api.QueueEvents("q", after=seen[-1].id, redis_url=valkey_url, prefix=prefix), 2
    )

    assert ["1", "2"] == [seen[0].job_id, rest[0].job_id]


async def test_without_a_start_only_new_events_are_given(
    api: Api, queue: Queue, valkey_url: str, prefix: str
) -> None:
    await queue.add("old")
    events = api.QueueEvents("q", redis_url=valkey_url, prefix=prefix)
    await events.open()
    new = await queue.add("new")

    first = (await _first(events, 1))[0]

    assert (EventName.ADDED, new.id) == (first.name, first.job_id)


async def test_closing_events_ends_their_reading_for_good(
    api: Api, queue: Queue, valkey_url: str, prefix: str
) -> None:
    seen: list[str | None] = []

    async def follow() -> None:
        seen.extend([event.job_id async for event in events])

    # The group is over when the reading is.
    async with asyncio.timeout(30), asyncio.TaskGroup() as group:
        job = await queue.add("n")
        async with api.QueueEvents("q", after="0", redis_url=valkey_url, prefix=prefix) as events:
            group.create_task(follow())
            await wait_until(lambda: events._after != "0", what="the first event")

    assert job.id in seen
    assert [] == [event async for event in events]


async def test_events_go_on_after_the_server_was_restarted(
    api: Api, own_valkey: ValkeyServer, prefix: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    events = api.QueueEvents("q", after="0", redis_url=own_valkey.url, prefix=prefix)
    async with api.Queue("q", redis_url=own_valkey.url, prefix=prefix) as queue:
        await queue.add("before")
        async with asyncio.TaskGroup() as group:
            reading = group.create_task(_first(events, 4))
            await wait_until(lambda: blocked_count(own_valkey), what="the events to be waited for")
            await asyncio.to_thread(own_valkey.kill)
            await asyncio.to_thread(own_valkey.start)
            await queue.add("after")

    jobs = [event.job_id for event in reading.result() if event.name == EventName.ADDED]
    assert ["1", "2"] == jobs
    lines = [r.getMessage() for r in caplog.records if r.name == "oxcart.events"]
    assert ["events.disconnected", "events.reconnected"] == [line.split()[0] for line in lines]
    assert "queue=q after_ms=" in lines[1]


async def test_result_is_waited_for(queue: Queue, hand: Hand) -> None:
    job = await queue.add("n")

    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(job.result("20s"))
        await hand.take()
        await hand.complete(job.id, b"[1,2]")

    assert [1, 2] == waiting.result()
    assert [1, 2] == await job.result("1s")


async def test_failure_is_told_to_whoever_waits(queue: Queue, hand: Hand) -> None:
    job = await queue.add("n")
    await hand.take()
    await hand.fail(job.id, "no paper")

    with pytest.raises(JobFailed, match="no paper") as caught:
        await job.result("5s")

    assert (job.id, "q", "no paper") == (
        caught.value.job_id,
        caught.value.queue,
        caught.value.reason,
    )


async def test_failure_has_the_class_and_the_traceback_of_the_error(
    queue: Queue, valkey_url: str, prefix: str
) -> None:
    """Also for one that waits after the job has failed, and not of an earlier attempt."""

    async def pay(job: JobContext) -> None:
        if job.name == "refused":
            raise Fail("no such account")
        raise KeyError("missing")

    worker = Worker("q", pay, redis_url=valkey_url, prefix=prefix)
    job = await queue.add("pay")
    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(_failure_of(job))
        group.create_task(worker.run())
        failed = await waiting
        refused = await _failure_of(await queue.add("refused"))
        unkept = await _failure_of(await queue.add("pay", keep_failed=Retention(count=0)))
        worker.stop()
    later = await _failure_of(job)

    for failure in (failed, later):
        assert "KeyError" == failure.error_type
        assert "job '1' of queue 'q' failed: KeyError: 'missing'" == str(failure)
        assert "'missing'" == failure.reason
        assert ", in pay\n" in str(failure.traceback)
        assert str(failure.traceback).endswith("KeyError: 'missing'")
    assert ("Fail", "job '2' of queue 'q' failed: no such account") == (
        refused.error_type,
        str(refused),
    )
    assert ("'missing'", None, None) == (unkept.reason, unkept.error_type, unkept.traceback)


async def test_result_that_does_not_come_in_time_is_told(queue: Queue) -> None:
    job = await queue.add("n")

    with pytest.raises(ResultTimeout, match="it goes on"):
        await job.result("50ms")

    assert JobState.WAITING == await job.state()


async def test_job_that_is_removed_while_its_result_is_waited_for_is_told(queue: Queue) -> None:
    job = await queue.add("n")

    with pytest.raises(ExceptionGroup) as caught:  # noqa: PT012  # the group raises at its end
        async with asyncio.TaskGroup() as group:
            group.create_task(job.result("20s"))
            await asyncio.sleep(0)
            await queue.remove(job.id)

    assert caught.group_contains(JobNotFound)


async def test_result_is_waited_for_across_a_restart_of_the_server(
    api: Api, own_valkey: ValkeyServer, prefix: str
) -> None:
    async with api.Queue("q", redis_url=own_valkey.url, prefix=prefix) as queue:
        job = await queue.add("n")
        async with asyncio.TaskGroup() as group:
            waiting = group.create_task(job.result("20s"))
            await wait_until(lambda: blocked_count(own_valkey), what="the result to be waited for")
            await asyncio.to_thread(own_valkey.kill)
            await asyncio.wait([waiting], timeout=0.5)
            assert not waiting.done()
            await asyncio.to_thread(own_valkey.start)
            hand = Hand(queue)
            await hand.take()
            await hand.complete(job.id)

    assert "done" == waiting.result()


def blocked_count(server: ValkeyServer) -> int:
    """How many connections wait for something to come."""
    with redis.Redis.from_url(server.url) as client:
        stats: Any = client.info("clients")
    return int(stats["blocked_clients"])


async def test_result_of_a_job_that_kept_nothing_is_found_in_the_events(
    queue: Queue, hand: Hand
) -> None:
    """It may be gone before anybody waits for it."""
    job = await queue.add("n")
    await hand.take()
    await hand.complete(job.id, b"42", keep=Retention.NONE)

    assert await job.state() is JobState.UNKNOWN
    assert 42 == await job.result(timeout="5s")


async def test_job_that_was_removed_unfinished_has_no_result(queue: Queue) -> None:
    job = await queue.add("n")
    await job.remove()

    with pytest.raises(JobNotFound):
        await job.result(timeout="5s")


async def _failure_of(job: Job[Any]) -> JobFailed:
    with pytest.raises(JobFailed) as caught:
        await job.result("20s")
    return caught.value


async def test_closing_ends_a_reading_that_waits_at_once(valkey_url: str, prefix: str) -> None:
    """A wait on the server lasts two seconds; that of the test ends well before."""
    events = QueueEvents("q", redis_url=valkey_url, prefix=prefix)
    connection = redis.Redis.from_url(valkey_url)

    async def read() -> None:
        async for _ in events:
            pass

    def is_waiting() -> bool:
        clients: Any = connection.client_list()
        return any(client["cmd"] == "xread" and "b" in client["flags"] for client in clients)

    async with asyncio.TaskGroup() as group:
        reading = group.create_task(read())
        await wait_until(is_waiting, what="the reading to wait")
        await events.aclose()
        async with asyncio.timeout(1):
            await reading
    connection.close()
