"""Waiting for a job's result (wire format, sections 6 and 12.4)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from oxcart._engine.ended_job import (
    BLOCK_S,
    PAGE,
    RETRY_S,
    TRACES_S,
    end_among,
    look_back,
    too_late,
    value_of,
    value_of_event,
    with_error,
)
from oxcart._model.duration import Duration, to_seconds
from oxcart._model.json import JsonValue
from oxcart._model.states import JobState
from oxcart._store.blocking import BlockingConnection
from oxcart._store.calls import reading
from oxcart._store.store import Store
from oxcart._wire.keys import QueueKeys
from oxcart.errors import JobFailed, StoreError, StoreUnavailable


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
        raise too_late(keys, job_id, timeout) from error
    except JobFailed as failed:
        raise await _with_error(failed, store, keys) from None


async def _with_error(failed: JobFailed, store: Store, keys: QueueKeys) -> JobFailed:
    """Add the class and the traceback of the error, which the event of a job's end does not have.

    They are missing if the job was removed when it failed, or the server cannot be reached.
    """
    with suppress(StoreError, TimeoutError):
        async with asyncio.timeout(TRACES_S):
            return with_error(failed, await store.run(reading.get_traces(keys, failed.job_id)))
    return failed


async def _follow(store: Store, keys: QueueKeys, job_id: str) -> JsonValue:
    # The stream's end is read before the job: what happens in between is then seen as an event.
    after = await store.run(reading.last_event_id(keys))
    async with _connection(store) as connection:
        while True:
            try:
                result = await store.run(reading.get_result(keys, job_id))
                if result.state is JobState.UNKNOWN:
                    end = look_back(await store.run(reading.last_events(keys, PAGE)), job_id)
                    if end is not None:
                        return value_of_event(end, keys, job_id)
                if result.state is not JobState.WAITING:
                    return value_of(result, keys, job_id)
                while entries := await connection.read_events(
                    keys.events, after, int(BLOCK_S * 1_000), PAGE
                ):
                    after = entries[-1][0].decode()
                    if (end := end_among(entries, job_id)) is not None:
                        return value_of_event(end, keys, job_id)
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
