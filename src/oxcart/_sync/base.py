# Generated from src/oxcart/_queue/base.py by scripts/generate-sync: change that one.
"""What every part of a queue shares: its server, its keys, its jobs."""

from __future__ import annotations

from typing import Any, ClassVar, TypeVar, cast

from oxcart._model.clock import Clock
from oxcart._model.ids import is_readable_id
from oxcart._model.job import JobRecord
from oxcart._store.call import Call
from oxcart._store.calls import reading, switching
from oxcart._store.slots import check_slots
from oxcart._store.sync_store import SyncStore
from oxcart._sync.job import Job, JobSource
from oxcart._version import __version__
from oxcart._wire.codes import error_of
from oxcart._wire.keys import QueueKeys
from oxcart.errors import JobNotFound

T = TypeVar("T")

VERSION = f"bullmq:oxcart-{__version__}"
"""What a queue's ``meta`` says opened it, where nobody else has (wire format, section 2.3)."""


class QueueBase:
    """A queue's server, keys and clock.

    Args:
        store: the server.
        keys: the queue's keys.
        clock: what the time is.
        events_length: how many events the queue's stream keeps, about; ``None`` leaves it as it is.
    """

    broker: ClassVar[str] = "redis"
    """Where the queue's jobs wait."""

    def __init__(
        self, store: SyncStore, keys: QueueKeys, clock: Clock, *, events_length: int | None = None
    ) -> None:
        check_slots(store.location, keys)
        self._store = store
        self._keys = keys
        self._clock = clock
        self._events_length = events_length
        self._is_open = False

    @property
    def name(self) -> str:
        """The queue's name."""
        return self._keys.queue

    def open(self) -> None:
        """Write the queue's own settings where they are missing; the first change does it."""
        call = switching.open_queue(self._keys, version=VERSION, events_length=self._events_length)
        self._store.run(call)
        self._is_open = True

    def _write(self, call: Call[T]) -> T:
        if not self._is_open:
            self.open()
        return self._store.run(call)

    def _change(self, call: Call[int], job_id: str, *, expected: str = "present") -> int:
        """Run a call that answers a code, and raise what a negative one stands for."""
        code = self._write(call)
        if code < 0:
            raise error_of(code, job_id=job_id, queue=self.name, expected=expected)
        return code

    def _now_ms(self) -> int:
        """The time: the injected clock's, else the server's."""
        return self._clock.now_ms() or self._store.run(reading.server_time_ms())

    def _check_id(self, job_id: str) -> str:
        """Return an id that may be looked up.

        Raises:
            JobNotFound: no job can have this id: it names one of the queue's own keys.
        """
        if not is_readable_id(job_id):
            raise JobNotFound(job_id=job_id, queue=self.name)
        return job_id

    def _bind(self, record: JobRecord) -> Job[Any]:
        """Make a job of its record."""
        return Job.of(record, self._as_source())

    def _as_source(self) -> JobSource:
        # The parts of a queue are only ever used together, as ``oxcart.sync.Queue``.
        return cast("JobSource", self)
