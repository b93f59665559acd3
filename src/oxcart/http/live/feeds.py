"""The events of a job for one client: from the queue's shared reader, or by polling."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Protocol

from oxcart.errors import StoreUnavailable
from oxcart.event_hub import EventHub, Notice
from oxcart.http.problems import Kind, ProblemError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from oxcart import Queue, QueueEvent

POLL_SECONDS = 2.0
"""How often the state of a job is read whose queue has no events, as in SQS."""


class Feed(Protocol):
    """What a client's stream needs of ``oxcart.event_hub.Subscription``."""

    @property
    def position(self) -> str:
        """The id after which every event of the job is given."""
        ...

    @property
    def missed(self) -> Sequence[QueueEvent] | None:
        """The events between the client's last one and the position."""
        ...

    async def get(self, within_s: float) -> QueueEvent | Notice | None:
        """Return the next event or notice, or ``None`` when the time was over."""
        ...


class Feeds:
    """Opens feeds; the queues' readers are shared by all clients of the process."""

    def __init__(self) -> None:
        self._hubs: dict[str, EventHub] = {}
        self._closing = asyncio.Event()

    @property
    def hubs(self) -> Sequence[EventHub]:
        """The readers that there are."""
        return tuple(self._hubs.values())

    @property
    def is_closed(self) -> bool:
        """Whether the process is about to end."""
        return self._closing.is_set()

    @asynccontextmanager
    async def follow(
        self, queue: Queue, job_id: str, *, after: str | None = None, may_poll: bool = False
    ) -> AsyncIterator[Feed]:
        """Follow a job.

        Args:
            queue: its queue.
            job_id: the job.
            after: the id of the last event that the client has seen.
            may_poll: poll where Redis does not answer, because the state is kept elsewhere.

        Raises:
            StoreUnavailable: Redis does not answer.
            ProblemError: 503, the server is stopping.
        """
        if self.is_closed:
            raise _stopping()
        if queue.broker != "redis":
            yield _PollingFeed(self._closing)
            return
        hub = self._hubs.get(queue.name)
        if hub is None:
            hub = self._hubs[queue.name] = EventHub(queue)
        async with AsyncExitStack() as stack:
            feed: Feed
            try:
                feed = await stack.enter_async_context(hub.subscribe(job_id, after=after))
            except StoreUnavailable:
                if not may_poll:
                    raise
                feed = _PollingFeed(self._closing)
            yield feed

    async def aclose(self) -> None:
        """End every feed, so that no client keeps the server from stopping."""
        self._closing.set()
        for hub in self.hubs:
            await hub.aclose()


class _PollingFeed:
    """Asks its reader to read the job's state again and again."""

    def __init__(self, closing: asyncio.Event) -> None:
        self.position = "0-0"
        self.missed: Sequence[QueueEvent] | None = None
        self._closing = closing

    async def get(self, within_s: float) -> QueueEvent | Notice | None:
        try:
            async with asyncio.timeout(min(within_s, POLL_SECONDS)):
                await self._closing.wait()
        except TimeoutError:
            return Notice.RESYNC if within_s >= POLL_SECONDS else None
        return Notice.CLOSED


def _stopping() -> ProblemError:
    detail = "the server is stopping; try again in a few seconds"
    return ProblemError(Kind.STOPPING, detail, retry_after="5", connection="close")
