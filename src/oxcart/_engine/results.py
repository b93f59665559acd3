"""Waiting for a job's result (wire format, sections 6 and 12.4)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from oxcart._model.duration import Duration, to_seconds
from oxcart._model.json import JsonValue
from oxcart._model.states import JobState
from oxcart._store.blocking import BlockingConnection
from oxcart._store.calls import reading
from oxcart._store.store import Store
from oxcart._wire.events import EventName, QueueEvent, read_event
from oxcart._wire.keys import QueueKeys
from oxcart.errors import JobFailed, JobNotFound, ResultTimeout, StoreUnavailable

BLOCK_S = 5.0
"""After this long without an event the job is looked at, in case its event was missed."""
PAGE = 1_000
RETRY_S = 0.2


async def wait_for_result(
    store: Store,
    keys: QueueKeys,
    job_id: str,
    timeout: Duration,  # noqa: ASYNC109
) -> JsonValue:
    """Wait for a job's result; see ``Job.result``."""
    seconds = to_seconds(timeout, what="timeout")
    try:
        async with asyncio.timeout(seconds):
            return await _follow(store, keys, job_id)
    except TimeoutError as error:
        raise ResultTimeout(
            f"job {job_id!r} of queue {keys.queue!r} was not finished within {timeout}; it goes on"
        ) from error


async def _follow(store: Store, keys: QueueKeys, job_id: str) -> JsonValue:
    # The stream's end is read before the job: what happens in between is then seen as an event.
    after = await store.run(reading.last_event_id(keys))
    async with _connection(store) as connection:
        while True:
            try:
                result = await store.run(reading.get_result(keys, job_id))
                if result.state is not JobState.WAITING:
                    return _value_of(result, keys, job_id)
                while entries := await connection.read_events(
                    keys.events, after, int(BLOCK_S * 1_000), PAGE
                ):
                    after = entries[-1][0].decode()
                    for entry_id, fields in entries:
                        event = read_event(entry_id, fields)
                        if event.job_id == job_id and _ends(event):
                            return _value_of_event(event, keys, job_id)
            except StoreUnavailable:  # it may come back before the caller's time is over
                await asyncio.sleep(RETRY_S)


@asynccontextmanager
async def _connection(store: Store) -> AsyncIterator[BlockingConnection]:
    url = await store.location.aurl()
    connection = BlockingConnection(url, store.timeouts, longest_block_s=BLOCK_S)
    try:
        yield connection
    finally:
        await connection.aclose()


def _ends(event: QueueEvent) -> bool:
    return event.name in (EventName.COMPLETED, EventName.FAILED, EventName.REMOVED)


def _value_of_event(event: QueueEvent, keys: QueueKeys, job_id: str) -> JsonValue:
    if event.name == EventName.COMPLETED:
        return event.data.get("returnvalue")
    if event.name == EventName.FAILED:
        reason = str(event.data.get("failedReason", ""))
        raise JobFailed(job_id=job_id, queue=keys.queue, reason=reason)
    raise JobNotFound(job_id=job_id, queue=keys.queue)


def _value_of(result: reading.Result, keys: QueueKeys, job_id: str) -> JsonValue:
    if result.state is JobState.COMPLETED:
        return result.value
    if result.state is JobState.FAILED:
        raise JobFailed(job_id=job_id, queue=keys.queue, reason=result.reason)
    raise JobNotFound(job_id=job_id, queue=keys.queue)
