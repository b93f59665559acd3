"""One reader of a queue's event stream, shared by any number of subscribers.

A subscriber follows one job. However many there are, the hub holds one connection that reads the
queue's stream, and only while somebody subscribes or did a moment ago. Each subscriber has a
bounded buffer: one that does not keep up loses its subscription, the others are not slowed down.

Events that were missed (the server was away, the stream was trimmed faster than it was read) are
announced by ``Notice.RESYNC``: the subscriber then reads the job's state.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from enum import StrEnum

from oxcart._engine.ending import end
from oxcart._engine.event_history import EventHistory, EventId
from oxcart._engine.reconnect import Reconnect
from oxcart._queue.closing import Closing
from oxcart._store.blocking import BlockingConnection, Entries
from oxcart._store.calls import reading
from oxcart._wire.events import QueueEvent, read_event
from oxcart.errors import ConfigError, StoreError
from oxcart.queue import Queue

__all__ = ["EventHub", "Notice", "Subscription"]

log = logging.getLogger("oxcart.events")

BLOCK_S = 2.0
"""How long one wait of the reader is."""
PAGE = 1_000
LINGER_S = 10.0
"""How long the hub goes on reading without a subscriber: clients come back soon."""
LOG_MISSES_EVERY_S = 10.0
BUFFER = 64


class Notice(StrEnum):
    """What a subscription gives between events."""

    RESYNC = "resync"
    """Events may have been missed: read the job's state."""
    DISCONNECTED = "disconnected"
    """The server is away; ``RESYNC`` follows when it is back."""
    OVERFLOW = "overflow"
    """The subscriber did not keep up, and the subscription is over."""
    CLOSED = "closed"
    """The hub was closed, and the subscription is over."""


_LAST = (Notice.OVERFLOW, Notice.CLOSED)


class Subscription:
    """The events of one job for one subscriber.

    Args:
        job_id: the job.
        limit: how many events wait for the subscriber before it is dropped.
    """

    def __init__(self, job_id: str, *, limit: int = BUFFER) -> None:
        self.job_id = job_id
        self.position = "0-0"
        """The id after which every event of the job is given."""
        self.missed: list[QueueEvent] | None = None
        """The job's events up to the position and after the id that the subscriber has seen last;
        ``None`` if it named no id, or events after it are no longer kept."""
        self._limit = limit
        self._items: deque[QueueEvent | Notice] = deque()
        self._arrived = asyncio.Event()
        self._after: EventId | None = None
        self._last: Notice | None = None

    async def get(self, within_s: float) -> QueueEvent | Notice | None:
        """Return the next event or notice.

        Args:
            within_s: how long to wait for it, in seconds.

        Returns:
            ``None`` when the time was over; after ``OVERFLOW`` and ``CLOSED`` always that.
        """
        if not self._items:
            if self._last is not None:
                return self._last
            self._arrived.clear()
            try:
                async with asyncio.timeout(within_s):
                    await self._arrived.wait()
            except TimeoutError:
                return None
        return self._items.popleft()

    def start_after(self, position: EventId) -> None:
        """Leave out the events up to a position; the hub does."""
        self.position = str(position)
        self._after = position
        self._items = deque(item for item in self._items if not self._is_old(item))

    def put(self, item: QueueEvent | Notice) -> None:
        """Append an event or a notice; the hub does."""
        if self._last is not None or self._is_old(item):
            return
        if item not in _LAST and len(self._items) >= self._limit:
            self._items.clear()
            item = Notice.OVERFLOW
        if item in _LAST:
            self._last = Notice(item)
        self._items.append(item)
        self._arrived.set()

    def _is_old(self, item: QueueEvent | Notice) -> bool:
        if self._after is None or not isinstance(item, QueueEvent):
            return False
        found = EventId.parse(item.id)
        return found is not None and found <= self._after


class EventHub(Closing):
    """Reads a queue's events once, for all subscribers of an event loop.

    ::

        async with hub.subscribe(job_id) as events:
            state = await queue.get_state(job_id)  # what happens after this is an event
            while (item := await events.get(within_s=15)) is not Notice.CLOSED: ...

    Args:
        queue: the queue, whose connection settings are used.
        buffer: how many events wait for a subscriber before it is dropped.
        linger_s: how long the hub goes on reading without a subscriber, in seconds.
        page: how many events are read at a time.

    Raises:
        ConfigError: the queue's jobs are not in Redis.
    """

    def __init__(
        self, queue: Queue, *, buffer: int = BUFFER, linger_s: float = LINGER_S, page: int = PAGE
    ) -> None:
        if queue.broker != "redis":
            raise ConfigError(
                f"queue {queue.name!r} has no event stream: its jobs are in {queue.broker}, and "
                "events are read from Redis"
            )
        self._store, self._keys = queue._store, queue._keys  # noqa: SLF001  # of the same layer
        self._buffer = buffer
        self._linger_s = linger_s
        self._page = page
        self._by_job: dict[bytes, set[Subscription]] = {}
        self._history = EventHistory(self._store, self._keys)
        self._starting = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_reading = False
        self._is_closed = False
        self._idle_since = time.monotonic()
        self._log_misses_at = 0.0

    @property
    def subscriber_count(self) -> int:
        """How many subscriptions are open."""
        return sum(len(subscribers) for subscribers in self._by_job.values())

    @property
    def is_reading(self) -> bool:
        """Whether the hub's one connection reads the stream."""
        return self._is_reading

    @asynccontextmanager
    async def subscribe(
        self, job_id: str, *, after: str | None = None
    ) -> AsyncIterator[Subscription]:
        """Follow a job: every event of it after the subscription's position is given.

        Args:
            job_id: the job.
            after: the id of the last event that the subscriber has seen; those that it missed are
                then in ``missed``, from a history that all subscribers share.

        Raises:
            StoreUnavailable: the server cannot be reached.
            ConfigError: the hub was closed.
        """
        if self._is_closed:
            raise ConfigError(f"the event hub of queue {self._keys.queue!r} was closed")
        key = job_id.encode(errors="replace")
        subscription = Subscription(job_id, limit=self._buffer)
        self._by_job.setdefault(key, set()).add(subscription)
        try:
            await self._start()
            seen = None if after is None else EventId.parse(after)
            if seen is not None and await self._history.reach_back_to(seen):
                subscription.missed = self._history.of_job(key, seen)
                subscription.start_after(self._history.end)
            else:
                last = await self._store.run(reading.last_event_id(self._keys))
                subscription.start_after(EventId.parse(last) or self._history.end)
            yield subscription
        finally:
            self._by_job[key].discard(subscription)
            if not self._by_job[key]:
                del self._by_job[key]
            self._idle_since = time.monotonic()

    async def aclose(self) -> None:
        """End every subscription with ``Notice.CLOSED``, and the reading."""
        self._is_closed = True
        self._give_all(Notice.CLOSED)
        if self._tasks:
            await end(*self._tasks)
        self._is_reading = False  # a task that was cancelled before it began has not said so

    async def _start(self) -> None:
        async with self._starting:
            if self._is_reading:
                return
            self._history.begin(await self._store.run(reading.last_event_id(self._keys)))
            self._is_reading = True
            # Not in a TaskGroup: the reader belongs to no single subscriber; aclose ends it.
            task = asyncio.get_running_loop().create_task(self._read())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _read(self) -> None:
        connection: BlockingConnection | None = None
        reconnect = Reconnect()
        try:
            while not self._is_idle():
                try:
                    if connection is None:
                        connection = await self._connect()
                    entries, has_gap = await self._next_entries(connection)
                except StoreError as error:
                    if reconnect.is_first:
                        log.warning("events.disconnected queue=%s: %s", self._keys.queue, error)
                        self._give_all(Notice.DISCONNECTED)
                    await reconnect.wait()
                    continue
                after_ms = reconnect.reset()
                if after_ms is not None:
                    log.info("events.reconnected queue=%s after_ms=%d", self._keys.queue, after_ms)
                if has_gap:
                    entries = await self._skip_to_end(entries)
                if has_gap or after_ms is not None:
                    self._give_all(Notice.RESYNC)
                self._deliver(entries)
        finally:
            self._is_reading = False
            if connection is not None:
                await connection.aclose()

    async def _connect(self) -> BlockingConnection:
        url = await self._store.location.aurl()
        return BlockingConnection(url, self._store.timeouts, longest_block_s=BLOCK_S)

    async def _next_entries(self, connection: BlockingConnection) -> tuple[Entries, bool]:
        """Read on, and find out whether the stream was trimmed beyond what was read before."""
        after = self._history.end
        entries = await connection.read_events(
            self._keys.events, str(after), int(BLOCK_S * 1_000), self._page
        )
        if len(entries) < self._page:
            return entries, False
        oldest = await self._store.run(reading.first_event_id(self._keys))
        found = None if oldest is None else EventId.parse(oldest)
        return entries, found is not None and found > after

    async def _skip_to_end(self, entries: Entries) -> Entries:
        """Go on at the stream's end after events were lost, instead of losing some again and again.

        Returns:
            The events to deliver: none, unless the end cannot be read.
        """
        if time.monotonic() >= self._log_misses_at:
            self._log_misses_at = time.monotonic() + LOG_MISSES_EVERY_S
            log.warning("events.missed queue=%s", self._keys.queue)
        try:
            self._history.begin(await self._store.run(reading.last_event_id(self._keys)))
        except StoreError:
            self._history.begin(entries[0][0].decode(), is_included=True)
            return entries
        return []

    def _deliver(self, entries: Entries) -> None:
        for entry_id, fields in entries:
            self._history.append(entry_id, fields)
            subscribers = self._by_job.get(fields.get(b"jobId", b""))
            if subscribers:
                event = read_event(entry_id, fields)
                for subscription in subscribers:
                    subscription.put(event)

    def _give_all(self, notice: Notice) -> None:
        for subscribers in self._by_job.values():
            for subscription in subscribers:
                subscription.put(notice)

    def _is_idle(self) -> bool:
        if self._by_job or time.monotonic() - self._idle_since < self._linger_s:
            return False
        self._is_reading = False  # before anything is awaited: who subscribes now starts it anew
        return True
