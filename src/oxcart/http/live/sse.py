"""Server-sent events: their text format, and the response that sends them."""

from __future__ import annotations

import asyncio
import json
import logging
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from starlette.requests import ClientDisconnect
from starlette.responses import Response

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Coroutine

    from starlette.types import Receive, Scope, Send

T = TypeVar("T")

log = logging.getLogger("oxcart.http")

MEDIA_TYPE = "text/event-stream"
SEND_SECONDS = 30.0
"""How long a client may accept nothing before its connection is given up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerEvent:
    """One event of a stream, or a comment.

    Attributes:
        name: the event's type; ``None`` for a comment.
        data: a JSON value.
        id: what the browser sends as ``Last-Event-ID`` when it connects again.
        comment: a line that clients ignore; it keeps the connection open.
        retry_ms: how long the browser waits before it connects again.
    """

    name: str | None = None
    data: Any = None
    id: str | None = None
    comment: str | None = None
    retry_ms: int | None = None

    def encode(self) -> bytes:
        """The event as it is sent. JSON in ASCII has no line ends, so that data is one line."""
        lines = []
        if self.comment is not None:
            lines.append(f": {self.comment}")
        if self.retry_ms is not None:
            lines.append(f"retry: {self.retry_ms}")
        if self.id is not None:
            lines.append(f"id: {self.id}")
        if self.name is not None:
            lines += [f"event: {self.name}", f"data: {json.dumps(self.data)}"]
        return ("\n".join(lines) + "\n\n").encode("ascii")


class EventStream(Response):
    """A response that sends events until they end, or the client is gone.

    What the events raise before the first one is answered as any other error of a route.

    Args:
        events: the events; closed at the end.
        send_seconds: how long the client may accept nothing.
    """

    media_type = MEDIA_TYPE

    def __init__(
        self, events: AsyncGenerator[ServerEvent, None], *, send_seconds: float = SEND_SECONDS
    ) -> None:
        self.status_code = 200
        self.background = None
        self._events = events
        self._send_seconds = send_seconds
        # Proxies and servers that compress would collect the events before they pass them on.
        self.init_headers({"cache-control": "no-store, no-transform", "x-accel-buffering": "no"})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the events."""
        async with aclosing(self._events) as events:
            first = await anext(events)
            start = {"type": "http.response.start", "status": 200, "headers": self.raw_headers}
            await send(start)
            await cancelled_when_gone(receive, self._write(first, send))

    async def _write(self, first: ServerEvent, send: Send) -> None:
        await self._send(send, first.encode())
        async for event in self._events:
            await self._send(send, event.encode())
        await self._send(send, b"", is_last=True)

    async def _send(self, send: Send, body: bytes, *, is_last: bool = False) -> None:
        try:
            async with asyncio.timeout(self._send_seconds):
                await send({"type": "http.response.body", "body": body, "more_body": not is_last})
        except TimeoutError as error:
            log.warning("http.stream_stalled", extra={"seconds": self._send_seconds})
            raise ClientDisconnect from error


async def cancelled_when_gone(receive: Receive, work: Coroutine[Any, Any, T]) -> T | None:
    """Run something for a client, and cancel it when the client closes its connection.

    Returns:
        What it returned; ``None`` if it was cancelled.
    """
    try:
        async with asyncio.TaskGroup() as tasks:
            working = tasks.create_task(work)
            watching = tasks.create_task(_cancel_when_gone(receive, working))
            working.add_done_callback(lambda _: watching.cancel())
    except BaseExceptionGroup as group:
        raise group.exceptions[0] from group.exceptions[0].__cause__
    return None if working.cancelled() else working.result()


async def _cancel_when_gone(receive: Receive, working: asyncio.Task[Any]) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    working.cancel()
