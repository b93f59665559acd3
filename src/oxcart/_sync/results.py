"""Waiting for a job's result in blocking code, for no longer than the caller allows.

Nothing can cancel a blocked thread, so that every single wait is given the time that is left.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta

from oxcart._engine.ended_job import (
    BLOCK_S,
    PAGE,
    RETRY_S,
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
from oxcart._store.blocking import READ_MARGIN_S, Entries
from oxcart._store.calls import reading
from oxcart._store.connection import Timeouts
from oxcart._store.sync_blocking import SyncBlockingConnection
from oxcart._store.sync_store import SyncStore
from oxcart._wire.keys import QueueKeys
from oxcart.errors import JobFailed, StoreError, StoreTimeout, StoreUnavailable

SHORTEST_S = 0.01


def wait_for_result(store: SyncStore, keys: QueueKeys, job_id: str, timeout: Duration) -> JsonValue:
    """Wait for a job's result; see ``Job.result``."""
    store.ensure_open()  # the wait has a connection of its own
    wait = _Wait(store, keys, job_id, to_seconds(timeout, what="timeout"))
    try:
        return wait.run()
    except TimeoutError:
        raise too_late(keys, job_id, timeout) from wait.trouble
    except JobFailed as failed:
        raise _with_error(failed, store, keys) from None


def _with_error(failed: JobFailed, store: SyncStore, keys: QueueKeys) -> JobFailed:
    """Add the class and the traceback of the error, which the event of a job's end does not have.

    They are missing if the job was removed when it failed, or the server cannot be reached.
    """
    with suppress(StoreError):
        return with_error(failed, store.run(reading.get_traces(keys, failed.job_id)))
    return failed


class _Wait:
    """One wait for a result. Raises ``TimeoutError`` once its time is over.

    Attributes:
        trouble: why the server could not be asked, the last time that it could not.
    """

    def __init__(self, store: SyncStore, keys: QueueKeys, job_id: str, seconds: float) -> None:
        self._store = store
        self._keys = keys
        self._job_id = job_id
        self._ends_at = time.monotonic() + seconds
        self._after = ""
        self.trouble: StoreUnavailable | None = None

    def run(self) -> JsonValue:
        while True:
            try:
                with self._connection() as connection:
                    return self._follow(connection)
            except StoreUnavailable as error:
                left_s = self._left_s()
                is_second, self.trouble = self.trouble is not None, error
                if not self._after and (is_second or isinstance(error, StoreTimeout)):
                    raise  # it was not there from the start
                self._restore(error)
                time.sleep(min(RETRY_S, left_s))

    def _follow(self, connection: SyncBlockingConnection) -> JsonValue:
        keys, job_id = self._keys, self._job_id
        if not self._after:
            # The stream's end is read before the job: what happens in between is an event then.
            newest = reading.last_event_id(keys)
            self._after = connection.run(newest, key=keys.events, within_s=self._reply_s())
        while True:
            call = reading.get_result(keys, job_id)
            result = connection.run(call, key=keys.job(job_id), within_s=self._reply_s())
            if result.state is JobState.UNKNOWN:
                last = reading.last_events(keys, PAGE)
                found = connection.run(last, key=keys.events, within_s=self._reply_s())
                if (end := look_back(found, job_id)) is not None:
                    return value_of_event(end, keys, job_id)
            if result.state is not JobState.WAITING:
                return value_of(result, keys, job_id)
            while entries := self._read_events(connection):
                self._after = entries[-1][0].decode()
                if (end := end_among(entries, job_id)) is not None:
                    return value_of_event(end, keys, job_id)

    def _read_events(self, connection: SyncBlockingConnection) -> Entries:
        left_s = self._left_s()
        block_s = min(BLOCK_S, left_s)
        return connection.read_events(
            self._keys.events,
            self._after,
            max(1, int(block_s * 1_000)),  # 0 would be for ever
            PAGE,
            margin_s=min(READ_MARGIN_S, left_s - block_s),
        )

    @contextmanager
    def _connection(self) -> Iterator[SyncBlockingConnection]:
        url = self._store.location.url()
        timeouts = Timeouts(
            connect=self._capped(self._store.timeouts.connect),
            command=self._capped(self._store.timeouts.command),
        )
        connection = SyncBlockingConnection(url, timeouts, longest_block_s=BLOCK_S)
        try:
            yield connection
        finally:
            connection.close()

    def _restore(self, error: StoreUnavailable) -> None:
        """Have the private Valkey started again, if it is that which has gone."""
        if not isinstance(error, StoreTimeout):
            with suppress(StoreUnavailable):
                self._store.location.restore()

    def _reply_s(self) -> float:
        return min(to_seconds(self._store.timeouts.command), self._left_s())

    def _capped(self, duration: Duration) -> timedelta:
        seconds = min(to_seconds(duration), self._left_s())
        return timedelta(seconds=max(seconds, SHORTEST_S))

    def _left_s(self) -> float:
        """The time that is left.

        Raises:
            TimeoutError: there is none.
        """
        left_s = self._ends_at - time.monotonic()
        if left_s <= 0:
            raise TimeoutError
        return left_s
