"""The latest events of a queue's stream, kept in memory so that many can read them again."""

from __future__ import annotations

import asyncio
import re
from collections import deque
from dataclasses import dataclass
from typing import Self

from oxcart._store.calls import reading
from oxcart._store.store import Store
from oxcart._wire.events import QueueEvent, read_event
from oxcart._wire.keys import QueueKeys

KEPT = 10_000
"""How many events are kept; the stream keeps about as many."""
PAGE = 1_000
MAX_FIELD_BYTES = 1_024
"""A longer field, such as a large return value, is kept without its value."""

_ID = re.compile(r"([0-9]{1,20})-([0-9]{1,20})\Z")
_MOST = 2**64 - 1


@dataclass(frozen=True, slots=True, order=True)
class EventId:
    """The id of a stream's entry: milliseconds and a number within them."""

    at_ms: int
    number: int

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """Read an id; ``None`` if the text is not one."""
        found = _ID.match(text)
        if found is None:
            return None
        at_ms, number = int(found[1]), int(found[2])
        return cls(at_ms, number) if max(at_ms, number) <= _MOST else None

    @property
    def before(self) -> EventId:
        """The greatest id that is less than this one."""
        if self.number:
            return EventId(self.at_ms, self.number - 1)
        return EventId(self.at_ms - 1, _MOST) if self.at_ms else self

    def __str__(self) -> str:
        return f"{self.at_ms}-{self.number}"


@dataclass(slots=True)
class _Kept:
    id: EventId
    fields: dict[bytes, bytes]


class EventHistory:
    """Every event after an id, as far as it was read.

    The reader of the stream appends to it; older events are read from the server, in pages, when
    they are asked for.

    Args:
        store: the server.
        keys: the queue's keys.
    """

    def __init__(self, store: Store, keys: QueueKeys) -> None:
        self._store = store
        self._keys = keys
        self._kept: deque[_Kept] = deque()
        self._start = self.end = EventId(0, 0)
        """Every event after the one and up to the other is kept."""
        self._oldest: EventId | None = None
        """The stream's oldest entry, once a page has reached it."""
        self._loading = asyncio.Lock()

    def begin(self, last_id: str, *, is_included: bool = False) -> None:
        """Forget everything, and start after an event, or with it."""
        last = EventId.parse(last_id) or EventId(0, 0)
        self._kept.clear()
        self._oldest = None
        self._start = self.end = last.before if is_included else last

    def append(self, entry_id: bytes, fields: dict[bytes, bytes]) -> None:
        """Keep an event that was read."""
        event_id = _id_of(entry_id)
        self.end = event_id
        if b"jobId" in fields:
            self._kept.append(_Kept(event_id, _short(fields)))
        while len(self._kept) > KEPT:
            self._start = self._kept.popleft().id
            self._oldest = None

    async def reach_back_to(self, wanted: EventId) -> bool:
        """Read older events until everything after an id is kept.

        Returns:
            Whether it is: older events may have been trimmed, or be too many.

        Raises:
            StoreUnavailable: the server cannot be reached.
        """
        async with self._loading:  # of many who reconnect at the same time one reads
            while wanted < self._start and self._oldest is None and len(self._kept) < KEPT:
                await self._load_page()
            if self._oldest is not None and wanted < self._start:
                return wanted >= self._oldest
            return wanted >= self._start

    def of_job(self, job_id: bytes, after: EventId) -> list[QueueEvent]:
        """Return the events of a job after an id, oldest first."""
        found: list[QueueEvent] = []
        for kept in reversed(self._kept):
            if kept.id <= after:
                break
            if kept.fields.get(b"jobId") == job_id:
                found.append(read_event(str(kept.id).encode(), kept.fields))
        return found[::-1]

    async def _load_page(self) -> None:
        start = self._start
        page = reading.last_events(self._keys, PAGE, until=str(start))
        entries = await self._store.run(page)
        if self._start != start:  # the reader began anew meanwhile
            return
        for entry_id, fields in entries:
            if b"jobId" in fields:
                self._kept.appendleft(_Kept(_id_of(entry_id), _short(fields)))
        last = _id_of(entries[-1][0]) if entries else start
        self._start = last.before
        if len(entries) < PAGE:
            self._oldest = last


def _id_of(entry_id: bytes) -> EventId:
    return EventId.parse(entry_id.decode()) or EventId(0, 0)


def _short(fields: dict[bytes, bytes]) -> dict[bytes, bytes]:
    if all(len(value) <= MAX_FIELD_BYTES for value in fields.values()):
        return fields
    return {name: value for name, value in fields.items() if len(value) <= MAX_FIELD_BYTES}
