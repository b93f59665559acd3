# Generated from src/oxcart/events.py by scripts/generate-sync: change that one.
"""Following what happens on a queue."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from os import PathLike

from oxcart._engine.environment import prefix_or_default
from oxcart._engine.locating import locate
from oxcart._engine.reconnect import Reconnect
from oxcart._store.calls import reading
from oxcart._store.connection import Timeouts
from oxcart._store.slots import check_slots
from oxcart._store.sync_blocking import SyncBlockingConnection
from oxcart._store.sync_store import SyncStore
from oxcart._sync.closing import Closing
from oxcart._wire.events import EventName, QueueEvent, read_event
from oxcart._wire.keys import QueueKeys
from oxcart.errors import StoreUnavailable

__all__ = ["EventName", "QueueEvent", "QueueEvents"]

log = logging.getLogger("oxcart.events")

BLOCK_S = 2.0
"""How long one wait is."""
PAGE = 500


class QueueEvents(Closing):
    """The events of a queue, as an iterator that may be resumed after any event.

    ::

        for event in QueueEvents("email", after=last_seen_id):
            print(event.name, event.job_id, event.id)

    A broken connection is made anew, and reading goes on after the last event seen. Events that
    the server dropped meanwhile (the stream keeps about 10,000) are missed. ``close`` ends the
    reading for good, from wherever it is called: at once in asyncio, within about two seconds in
    blocking code.

    Args:
        queue: the queue's name.
        after: the id of the event to go on after; ``"0"`` reads from the oldest one kept; without
            it only events from now on are given.
        redis_url: see ``Queue``.
        prefix: see ``Queue``.
        data_dir: see ``Queue``.
        timeouts: how long to wait for the server.
        store: an open store to share instead of ``redis_url``.
    """

    def __init__(
        self,
        queue: str,
        *,
        after: str | None = None,
        redis_url: str | None = None,
        prefix: str | None = None,
        data_dir: str | PathLike[str] | None = None,
        timeouts: Timeouts | None = None,
        store: SyncStore | None = None,
    ) -> None:
        self._store = store or SyncStore(locate(redis_url, data_dir), timeouts=timeouts)
        self._owns_store = store is None
        self._keys = QueueKeys(prefix_or_default(prefix), queue)
        check_slots(self._store.location, self._keys)
        self._after = after
        self._is_closed = False
        self._connections: set[SyncBlockingConnection] = set()

    def open(self) -> None:
        """Fix where reading starts: events from this call on are given."""
        if self._after is None:
            self._after = self._store.run(reading.last_event_id(self._keys))

    def __iter__(self) -> Iterator[QueueEvent]:
        """Give the events as they come, until ``close``; never ends by itself."""
        self.open()
        url = self._store.location.url()
        connection = SyncBlockingConnection(url, self._store.timeouts, longest_block_s=BLOCK_S)
        self._connections.add(connection)
        reconnect = Reconnect()
        try:
            while not self._is_closed:
                try:
                    entries = connection.read_events(
                        self._keys.events, self._after or "0", int(BLOCK_S * 1_000), PAGE
                    )
                except StoreUnavailable as error:
                    if self._is_closed:
                        return
                    if reconnect.is_first:
                        log.warning("events.disconnected queue=%s: %s", self._keys.queue, error)
                    time.sleep(reconnect.next_s())
                    continue
                after_ms = reconnect.reset()
                if after_ms is not None:
                    log.info("events.reconnected queue=%s after_ms=%d", self._keys.queue, after_ms)
                for entry_id, fields in entries:
                    if self._is_closed:
                        return
                    event = read_event(entry_id, fields)
                    self._after = event.id
                    yield event
        finally:
            self._connections.discard(connection)
            connection.close()
            if self._owns_store:
                self._store.close()

    def close(self) -> None:
        """End the reading, and close the own connections."""
        self._is_closed = True
        for connection in list(self._connections):
            connection.interrupt()
        if self._owns_store:
            self._store.close()
