"""One HTTP/1.1 connection: uvicorn's protocol with time-outs, a limit, and problem documents.

The connection *waits* from its start, and from the end of a response, until the head of the next
request is complete. A timer bounds that time, whatever arrives meanwhile: silence, half a request
line, a header every few seconds, or the rest of a body that the application did not want. Another
timer ends responses that the client does not read.
"""

from __future__ import annotations

import asyncio
import json
import logging
import secrets
from email.utils import formatdate
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

from oxcart.http.edge import SECURITY_HEADERS
from oxcart.http.problems import MEDIA_TYPE, Kind, Problem

if TYPE_CHECKING:
    from uvicorn.config import Config
    from uvicorn.server import ServerState

    from oxcart.http.connections import ConnectionTable

log = logging.getLogger("oxcart.http")

_NOT_HTTP = Problem(kind=Kind.BAD_REQUEST, detail="the request is not valid HTTP/1.1")
_HEAD_TOO_SLOW = Problem(
    kind=Kind.REQUEST_TIMEOUT, detail="the head of the request did not arrive in time"
)
_NO_ROOM = Problem(
    kind=Kind.OVERLOADED,
    detail="The server has no room for another connection. Try again in a few seconds.",
    headers={"retry-after": "5"},
)


class GuardedProtocol(H11Protocol):
    """A connection that cannot hold the server up.

    Args:
        config: uvicorn's configuration.
        server_state: shared by the connections of the server.
        table: the open connections and their limits.
    """

    def __init__(self, config: Config, server_state: ServerState, table: ConnectionTable) -> None:
        super().__init__(config, server_state, {})
        self.logger = _quiet_logger()
        self._table = table
        self._limits = table.limits
        self._head_deadline: float | None = None
        self._head_timer: asyncio.TimerHandle | None = None
        """Armed at most once at a time, and not for each request: it looks at the deadline."""
        self._stall_timer: asyncio.TimerHandle | None = None
        self._has_head_bytes = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take the connection, or refuse it when there are too many."""
        super().connection_made(transport)
        if self._table.opened():
            self._wait()
        else:
            self._refuse(_NO_ROOM)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._table.closed(self)
        self._stop_waiting()
        if self._head_timer is not None:
            self._head_timer.cancel()
        self._stop_watching()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read what the client sent."""
        if self.transport.is_closing():
            return
        self._has_head_bytes = True
        answered = self.cycle
        super().data_received(data)
        if self.cycle is not answered:
            self._stop_waiting()

    def on_response_complete(self) -> None:
        """Wait for the next request; the client must also take what is left of this response."""
        self._wait()
        self._watch_writing()
        answered = self.cycle
        super().on_response_complete()
        if self.cycle is not answered:  # the next request was there already
            self._stop_waiting()

    def pause_writing(self) -> None:
        """Watch a client that reads more slowly than the application writes."""
        super().pause_writing()
        self._watch_writing()

    def resume_writing(self) -> None:
        """Go on writing: the client has read."""
        super().resume_writing()
        self._stop_watching()

    def send_400_response(self, msg: str) -> None:
        """Refuse what is not HTTP, in the head of a request or in its body."""
        under_way = self._under_way()
        if under_way is not None:
            under_way.disconnected = True
            under_way.message_event.set()
        if under_way is not None and under_way.response_started:
            self.transport.close()  # half a response is out: no other can follow it
        else:
            self._refuse(_NOT_HTTP)

    def close_idle(self) -> None:
        """Close the connection; no request of it is being answered."""
        self._stop_waiting()
        self.transport.close()
        self._watch_writing()

    def _wait(self) -> None:
        self._table.waits(self)
        self._has_head_bytes = False
        self._head_deadline = self.loop.time() + self._limits.head_seconds
        if self._head_timer is None:
            self._head_timer = self.loop.call_at(self._head_deadline, self._check_head)

    def _stop_waiting(self) -> None:
        self._table.is_busy(self)
        self._head_deadline = None

    def _check_head(self) -> None:
        self._head_timer = None
        deadline = self._head_deadline
        if deadline is None or self.transport.is_closing():
            return
        if self.loop.time() < deadline:
            self._head_timer = self.loop.call_at(deadline, self._check_head)
        elif self._has_head_bytes and self.conn.their_state is h11.IDLE:
            self._refuse(_HEAD_TOO_SLOW)
        else:
            self.close_idle()

    def _watch_writing(self) -> None:
        """End the connection if the client takes too little in ``stall_seconds``.

        Too little is less than ``stall_bytes``, or than half of what is left.
        """
        self._stop_watching()
        size = self.transport.get_write_buffer_size()
        if size:
            self._stall_timer = self.loop.call_later(
                self._limits.stall_seconds, self._check_writing, size
            )

    def _stop_watching(self) -> None:
        if self._stall_timer is not None:
            self._stall_timer.cancel()
            self._stall_timer = None

    def _check_writing(self, size_before: int) -> None:
        self._stall_timer = None
        size = self.transport.get_write_buffer_size()
        wanted = min(self._limits.stall_bytes, size_before // 2 + 1)
        if size and size_before - size < wanted:
            log.warning("http.response_stalled", extra={"client": self._address()})
            self.transport.abort()
        else:
            self._watch_writing()

    def _refuse(self, problem: Problem) -> None:
        """Answer without the application, and close."""
        request_id = secrets.token_hex(8)
        fact = {
            "request_id": request_id,
            "status": problem.kind.status,
            "reason": problem.detail,
            "client": self._address(),
        }
        log.info("http.connection_refused", extra=fact)
        self._stop_waiting()
        self.transport.write(response_bytes(problem, request_id))
        self.transport.close()
        self._watch_writing()

    def _under_way(self) -> RequestResponseCycle | None:
        cycle: RequestResponseCycle | None = self.cycle
        return None if cycle is None or cycle.response_complete else cycle

    def _address(self) -> str | None:
        return self.client[0] if self.client else None


def response_bytes(problem: Problem, request_id: str) -> bytes:
    """A whole response for a problem that the application never sees."""
    status = HTTPStatus(problem.kind.status)
    body = json.dumps(problem.document(request_id)).encode("ascii")
    headers = {
        "date": formatdate(usegmt=True),
        "content-type": MEDIA_TYPE,
        "content-length": str(len(body)),
        "connection": "close",
        "x-request-id": request_id,
        **SECURITY_HEADERS,
        **problem.headers,
    }
    lines = (f"{name}: {value}\r\n" for name, value in headers.items())
    head = f"HTTP/1.1 {status.value} {status.phrase}\r\n{''.join(lines)}\r\n"
    return head.encode("latin-1") + body


def _quiet_logger() -> Any:
    """A logger for what uvicorn says of one connection: its warnings are the client's doing."""
    logger = logging.getLogger("uvicorn.error.connection")
    logger.setLevel(logging.ERROR)
    return logger
