"""Queues for blocking code: Django, Flask, scripts and threads."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from os import PathLike
from typing import Any

from oxcart._engine.locating import locate
from oxcart._model.clock import Clock, ServerClock
from oxcart._model.ids import is_readable_id
from oxcart._model.job import JobRecord, JobSpec
from oxcart._model.json import JsonValue
from oxcart._model.options import JobOptions
from oxcart._model.states import JobState
from oxcart._queue.adding import BATCH, record_of
from oxcart._queue.base import VERSION
from oxcart._store.calls import adding, reading, switching
from oxcart._store.connection import Timeouts
from oxcart._store.sync_store import SyncStore
from oxcart._wire.keys import DEFAULT_PREFIX, QueueKeys


class Queue:
    """A queue for blocking code; see ``oxcart.Queue``. May be shared by threads.

    Args:
        name: the queue's name.
        redis_url: see ``oxcart.Queue``.
        prefix: see ``oxcart.Queue``.
        data_dir: see ``oxcart.Queue``.
        timeouts: how long to wait for the server.
        clock: tells the time instead of the server, for tests.
        store: an open store to share instead of ``redis_url``.
    """

    def __init__(
        self,
        name: str,
        *,
        redis_url: str | None = None,
        prefix: str = DEFAULT_PREFIX,
        data_dir: str | PathLike[str] = ".oxcart",
        timeouts: Timeouts | None = None,
        clock: Clock | None = None,
        store: SyncStore | None = None,
    ) -> None:
        self._store = store or SyncStore(locate(redis_url, data_dir), timeouts=timeouts)
        self._owns_store = store is None
        self._keys = QueueKeys(prefix, name)
        self._clock = clock or ServerClock()
        self._is_open = False

    @property
    def name(self) -> str:
        """The queue's name."""
        return self._keys.queue

    def add(self, name: str, data: JsonValue | None = None, **options: Any) -> JobRecord:
        """Add a job; see ``oxcart.Queue.add``."""
        data = {} if data is None else data
        return self.add_many([JobSpec(name=name, data=data, options=JobOptions(**options))])[0]

    def add_many(self, specs: Sequence[JobSpec]) -> list[JobRecord]:
        """Add many jobs, in order; see ``oxcart.Queue.add_many``."""
        self._open()
        encoded = [adding.encode_job(spec) for spec in specs]
        added: list[adding.Added] = []
        for start in range(0, len(encoded), BATCH):
            batch = encoded[start : start + BATCH]
            nonce = uuid.uuid4().hex
            call = adding.add_jobs(self._keys, batch, clock=self._clock, nonce=nonce)
            results: list[adding.Added] = self._store.run(call)
            added += results
        return [record_of(spec, result) for spec, result in zip(specs, added, strict=True)]

    def get_job(self, job_id: str) -> JobRecord | None:
        """Read a job; ``None`` if there is none with this id."""
        if not is_readable_id(job_id):
            return None
        return self._store.run(reading.get_job(self._keys, job_id))

    def get_state(self, job_id: str) -> JobState:
        """The state of a job; ``UNKNOWN`` if there is none with this id."""
        return self._store.run(reading.get_states(self._keys, [job_id]))[0]

    def close(self) -> None:
        """Close the queue's own connections."""
        if self._owns_store:
            self._store.close()

    def _open(self) -> None:
        if not self._is_open:
            call = switching.open_queue(self._keys, version=VERSION, events_length=None)
            self._store.run(call)
            self._is_open = True
