"""Following a job for a client: as server-sent events, or by a long poll.

A stream opens with the events that a client which was connected before has missed, and with
``status``, what the status route shows. ``state`` and ``progress`` follow as they happen, and
``end``, the whole document again, is the last event. Every event has the id in the queue's event
stream up to which the client then knows everything; that of ``end`` has the suffix ``:end``, by
which the server knows a client that needs nothing more.

Events may be missed, so that the state is read again with every heartbeat: a ``status`` is sent if
it is another one than the client knows.
"""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, Protocol, Self, TypeVar

from oxcart import EventName, QueueEvent
from oxcart.errors import OxcartError
from oxcart.event_hub import Notice
from oxcart.http.live.job_view import FINISHED, state_after
from oxcart.http.live.sse import ServerEvent
from oxcart.http.problems import Kind, ProblemError

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    from oxcart.http.live.feeds import Feed

END_SUFFIX = ":end"
MAX_WAIT_SECONDS = 60
SOON_SECONDS = 0.1
"""How long after an event a state that others write is read again, if it has not changed yet."""

HEARTBEAT = ServerEvent(comment="heartbeat")
RECONNECT = ServerEvent(comment="the stream was open for long enough; connect again")
STOPPING = ServerEvent(comment="the server is stopping; connect again")
UNAVAILABLE = ServerEvent(comment="the queue does not answer; events follow when it is back")
DROPPED = ServerEvent(
    name="dropped",
    data={"reason": "the client reads too slowly; connect again for the present state"},
)
_LAST = {Notice.OVERFLOW: DROPPED, Notice.CLOSED: STOPPING}


@dataclass(frozen=True, slots=True, kw_only=True)
class Intervals:
    """How long things take in a stream, in seconds.

    Attributes:
        heartbeat: between two signs of life.
        longest: the stream is ended after this long, and the browser connects again: proxies and
            permissions change.
        retry: how long a browser waits before it connects again.
    """

    heartbeat: float = 15.0
    longest: float = 300.0
    retry: float = 2.0


class View(Protocol):
    """What is followed, at one moment; see ``job_view.JobView``."""

    @property
    def state(self) -> str:
        """Its state."""
        ...

    @property
    def document(self) -> dict[str, Any]:
        """What is shown of it."""
        ...

    @property
    def is_finished(self) -> bool:
        """Whether nothing follows."""
        ...

    def shown_progress(self, value: Any) -> dict[str, Any]:
        """The progress that the job reported, its secrets hidden."""
        ...

    def shown_reason(self, reason: Any) -> Any:
        """Why the job failed, as this client may see it."""
        ...

    def gone(self, event: QueueEvent | None) -> Self:
        """What is left once it is removed; the event is the last one, if it was seen."""
        ...


V = TypeVar("V", bound=View)


class Follower(Generic[V]):
    """Follows one job for one client.

    Args:
        follow: opens the job's feed, given the id of the last event that the client has seen.
        read: reads what is followed; ``None`` when it is not there.
        intervals: how long things take.
        are_states_events: whether the state is the job's own, which events report; else any event
            of the job may be followed by a change of it.
    """

    def __init__(
        self,
        follow: Callable[[str | None], AbstractAsyncContextManager[Feed]],
        read: Callable[[], Awaitable[V | None]],
        *,
        intervals: Intervals,
        are_states_events: bool = True,
    ) -> None:
        self._follow = follow
        self._read = read
        self._intervals = intervals
        self._are_states_events = are_states_events

    async def events(
        self, last_event_id: str | None = None, *, longest: float | None = None
    ) -> AsyncGenerator[ServerEvent, None]:
        """Give the events of a stream.

        Args:
            last_event_id: the id of the last event that the client has seen.
            longest: end the stream after this long, if that is sooner than usual.

        Raises:
            StoreUnavailable: Redis does not answer; only before the first event.
            ProblemError: 404, there is nothing to follow; only before the first event.
        """
        until = time.monotonic() + min(longest or self._intervals.longest, self._intervals.longest)
        async with self._follow(last_event_id) as feed:
            view = await self._read()
            if view is None:
                raise not_found()
            stream = _Stream(
                view,
                feed.position,
                read=self._read,
                heartbeat=self._intervals.heartbeat,
                until=until,
                are_states_events=self._are_states_events,
            )
            for event in feed.missed or ():
                for shown in stream.show(event):
                    yield shown
            for shown in stream.open(retry_ms=round(self._intervals.retry * 1_000)):
                yield shown
            while not stream.is_over:
                for shown in await stream.react(await feed.get(stream.due_in())):
                    yield shown

    async def read(self) -> V:
        """Read what is followed, now.

        Raises:
            ProblemError: 404, it is not there.
        """
        view = await self._read()
        if view is None:
            raise not_found()
        return view

    async def wait(self, known_state: str | None, seconds: float) -> V | None:
        """Wait until the state is final or another one than the client knows.

        Args:
            known_state: the state that the client knows; ``None``: the present one.
            seconds: how long to wait at the most.

        Returns:
            What is followed; ``None`` if it is not there.

        Raises:
            StoreUnavailable: Redis does not answer.
        """
        view = await self._read()
        if view is None or view.is_finished or known_state not in (None, view.state):
            return view
        until = time.monotonic() + seconds
        async with self._follow(None) as feed:
            pause, event = self._intervals.heartbeat, None
            while True:
                found = await self._read()
                if found is None:
                    return view.gone(event) if event else None
                left = until - time.monotonic()
                if found.is_finished or found.state != view.state or left <= 0:
                    return found
                item = await feed.get(min(left, pause))
                if isinstance(item, Notice) and item in _LAST:
                    return found
                event = item if isinstance(item, QueueEvent) else None
                is_soon = event is not None and not self._are_states_events
                pause = SOON_SECONDS if is_soon else min(2 * pause, self._intervals.heartbeat)


class _Stream(Generic[V]):
    """What one client knows, and what it is sent next."""

    def __init__(
        self,
        view: V,
        position: str,
        *,
        read: Callable[[], Awaitable[V | None]],
        heartbeat: float,
        until: float,
        are_states_events: bool,
    ) -> None:
        self.is_over = False
        self._view = view
        self._state = view.state
        self._position = position
        self._read = read
        self._heartbeat = heartbeat
        self._until = until
        self._are_states_events = are_states_events
        self._pause = heartbeat
        self._next_read = time.monotonic() + heartbeat

    def due_in(self) -> float:
        """How long to wait for an event before something else is to be done."""
        return max(0.0, min(self._next_read, self._until) - time.monotonic())

    def open(self, *, retry_ms: int) -> list[ServerEvent]:
        """What every stream begins with."""
        status = ServerEvent(
            name="status", id=self._position, data=self._view.document, retry_ms=retry_ms
        )
        return [status, *self._end()] if self._view.is_finished else [status]

    def show(self, event: QueueEvent) -> list[ServerEvent]:
        """What a client sees of an event itself."""
        if event.name == EventName.PROGRESS:
            if "data" not in event.data:  # too long to be kept for clients that come back
                return []
            progress = self._view.shown_progress(event.data["data"])
            return [ServerEvent(name="progress", id=event.id, data=progress)]
        state = state_after(event)
        if state is None or not self._are_states_events:
            return []
        data = {"state": str(state)}
        if "failedReason" in event.data:
            data["failedReason"] = self._view.shown_reason(event.data["failedReason"])
        return [ServerEvent(name="state", id=event.id, data=data)]

    async def react(self, item: QueueEvent | Notice | None) -> list[ServerEvent]:
        """What a client is sent because of an event, a notice, or time that went by."""
        if isinstance(item, QueueEvent):
            self._position = item.id
            shown = self.show(item)
            if not self._asks_for_read(item):
                self._state = str(state_after(item) or self._state)
                return shown
            return [*shown, *await self._refresh(item)]
        if item is not None and item in _LAST:
            self.is_over = True
            return [_LAST[item]]
        if item is Notice.DISCONNECTED:
            return [UNAVAILABLE]
        if time.monotonic() >= self._until:
            self.is_over = True
            return [RECONNECT]
        return await self._refresh(None)

    def _asks_for_read(self, event: QueueEvent) -> bool:
        state = state_after(event)
        if self._are_states_events:
            return state in FINISHED or event.name == EventName.REMOVED
        return state is not None or event.name == EventName.REMOVED

    async def _refresh(self, event: QueueEvent | None) -> list[ServerEvent]:
        """Read again, and find out what the client does not know yet."""
        try:
            view = await self._read()
        except OxcartError:  # it may answer again
            self._plan(self._heartbeat)
            return [UNAVAILABLE]
        if view is None:
            self._view = self._view.gone(event)
            return self._end()
        self._view = view
        if view.is_finished:
            return self._end()
        if view.state != self._state:
            self._state = view.state
            self._plan(self._heartbeat)
            return [ServerEvent(name="status", id=self._position, data=view.document)]
        if event is not None and not self._are_states_events:
            self._plan(SOON_SECONDS)
            return []
        is_heartbeat = self._pause >= self._heartbeat
        self._plan(min(2 * self._pause, self._heartbeat))
        return [HEARTBEAT] if is_heartbeat else []

    def _end(self) -> list[ServerEvent]:
        self.is_over = True
        document = self._view.document
        return [ServerEvent(name="end", id=f"{self._position}{END_SUFFIX}", data=document)]

    def _plan(self, pause: float) -> None:
        self._pause = pause
        self._next_read = time.monotonic() + pause


def has_ended(last_event_id: str | None) -> bool:
    """Whether a client that connects again has seen the end."""
    return last_event_id is not None and last_event_id.endswith(END_SUFFIX)


def not_found() -> ProblemError:
    """The answer for a job that is not there, or not the caller's."""
    return ProblemError(Kind.NOT_FOUND, "no such job")
