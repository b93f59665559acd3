"""Connections whose sending is quick and can be cancelled.

The client sends each command by ``asyncio.wait_for``. Before Python 3.12 that makes a task for each
command, and swallows a cancellation that comes together with the end of the sending: a worker that
was told to stop at that instant would never stop. These send under ``asyncio.timeout`` instead, and
let hiredis write commands into the protocol, which the client does by itself on asyncio.

A time-out is a time without progress: it begins again with each chunk of a reply that arrives, and
with each part of a command that leaves. A large reply over a thin line is no time-out.

A time-out counts only while the event loop turns. A program that holds up its own loop for longer
finds the answer there and the time over at once; that says nothing of the server.
"""

from __future__ import annotations

import asyncio
import sys
import time
from typing import TYPE_CHECKING, Any

import hiredis
from redis._parsers import _AsyncHiredisParser
from redis.asyncio.connection import Connection, SSLConnection, UnixDomainSocketConnection
from redis.asyncio.sentinel import SentinelManagedConnection, SentinelManagedSSLConnection
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from oxcart._store.unsent import limit_unsent, seconds_under_way

if TYPE_CHECKING:
    from collections.abc import Callable

    _Base = Connection
else:
    _Base = object


MOST_UNSENT = 64 * 1024
"""How many bytes may be on their way out before a sender waits for them."""
HELD_UP_SECONDS = 0.1
"""A time-out that comes so much late tells that the loop was held up; then it begins anew."""
LOOKS = 4
"""How often within a time-out it is looked whether a large command is getting on."""


class _Parser(_AsyncHiredisParser):
    """The client's parser of replies, which notes when data arrived."""

    __slots__ = ("arrived_at",)
    _stream: asyncio.StreamReader
    _reader: Any

    def __init__(self, socket_read_size: int) -> None:
        super().__init__(socket_read_size)
        self.arrived_at = 0.0

    async def read_from_socket(self) -> bool:
        """Read what has arrived, or wait for it."""
        chunk = await self._stream.read(self._read_size)
        if not chunk:
            raise RedisConnectionError("Connection closed by server.")
        self.arrived_at = time.monotonic()
        self._reader.feed(chunk)
        return True


class _Prompt(_Base):
    socket_timeout: float | None
    socket_connect_timeout: float | None
    _writer: asyncio.StreamWriter
    _reader: asyncio.StreamReader
    _parser: _Parser
    _read_seconds = 0.0
    _read_until: float | None = None
    _watching: asyncio.TimerHandle | None = None
    _is_overdue = False
    _spare_seconds = 0.0

    @property
    def is_open(self) -> bool:
        """Whether it is connected, and the server has not closed it since."""
        if not self.is_connected or self._reader.at_eof():
            return False
        # One that was reset has no end to be read; writing to it may raise anything.
        return not self._writer.transport.is_closing()

    def pack_command(self, *args: Any) -> list[bytes]:
        """Write a command as it is sent: words are texts, bytes and numbers."""
        if " " in args[0]:  # the client names some commands by two words in one text
            args = (*args[0].split(), *args[1:])
        return [hiredis.pack_command(args)]

    async def send_packed_command(self, command: Any, check_health: bool = True) -> None:  # noqa: FBT001, FBT002  # the client's own signature
        """Send a command; the time-out is kept here and hidden from the client meanwhile."""
        size = len(command[0]) if len(command) == 1 else sum(map(len, command))
        if size > MOST_UNSENT:
            self._spare_seconds = seconds_under_way(size)
        try:
            if self.is_connected and not self.health_check_interval:
                self._writer.writelines(command)
                # What the system has not taken yet is waited for only if it is much.
                if self._writer.transport.get_write_buffer_size() < MOST_UNSENT:
                    return
                command = ()
            await self._send_and_drain(command, check_health=check_health)
        # Raised by uvloop for a connection that the server has reset.
        except RuntimeError as error:
            if self.is_connected and not self._writer.transport.is_closing():
                raise
            await self.disconnect(nowait=True)
            raise RedisConnectionError(f"Connection is closed: {error}") from error

    async def _send_and_drain(self, command: Any, *, check_health: bool) -> None:
        seconds, self.socket_timeout = self.socket_timeout, None
        try:
            async with asyncio.timeout(seconds) as limit:
                looking = None if seconds is None else self._look_after(limit, seconds)
                try:
                    await super().send_packed_command(command, check_health)
                finally:
                    if looking is not None:
                        looking.cancel()
        except TimeoutError:
            raise RedisTimeoutError(f"no data could be sent for {seconds:g} s") from None
        finally:
            self.socket_timeout = seconds

    def _look_after(self, limit: asyncio.Timeout, seconds: float) -> _Repeated:
        """Begin a time-out again whenever part of what is to be sent has left."""
        unsent = sys.maxsize

        def look(*, is_late: bool) -> None:
            nonlocal unsent
            left = self._writer.transport.get_write_buffer_size() if self.is_connected else 0
            if (left < unsent or is_late) and not limit.expired():
                limit.reschedule(asyncio.get_running_loop().time() + seconds)
            unsent = left

        return _Repeated(seconds / LOOKS, look)

    async def read_response(
        self,
        disable_decoding: bool = False,  # noqa: FBT001, FBT002  # the client's own signature
        timeout: float | None = None,  # noqa: ASYNC109  # as it is
        **more: Any,
    ) -> Any:
        """Read a reply.

        The time-out is watched by one timer that goes on from read to read: making one takes as
        long as reading a short reply. A ``timeout`` for this read alone is kept by the client.
        """
        seconds = self.socket_timeout
        if timeout is not None or seconds is None:
            return await super().read_response(disable_decoding, timeout, **more)
        self.socket_timeout = None  # hidden from the client meanwhile
        self._watch_for(seconds + self._spare_seconds)
        try:
            return await super().read_response(disable_decoding, **more)
        except RedisConnectionError:
            if self._is_overdue:
                raise RedisTimeoutError(f"no data arrived for {seconds:g} s") from None
            raise
        finally:
            self.socket_timeout = seconds
            self._read_until, self._is_overdue, self._spare_seconds = None, False, 0.0

    def set_parser(self, _: Any) -> None:
        """Use our parser, whichever the client would."""
        super().set_parser(_Parser)

    async def _connect(self) -> None:
        """Connect; a second time if the loop was held up during the first."""
        await self._connect_patiently()
        limit_unsent(self._writer.get_extra_info("socket"))

    async def _connect_patiently(self) -> None:
        started = time.monotonic()
        try:
            await super()._connect()  # type: ignore[no-untyped-call]
        except TimeoutError:
            late = time.monotonic() - started - (self.socket_connect_timeout or 0)
            if late < HELD_UP_SECONDS:
                raise
            await super()._connect()  # type: ignore[no-untyped-call]

    def _watch_for(self, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        self._read_seconds, self._read_until = seconds, loop.time() + seconds
        if self._watching is None:
            self._watching = loop.call_at(self._read_until, self._watch)

    def _watch(self) -> None:
        """Break a read that has taken too long; look again when the one under way may have."""
        self._watching = None
        if self._read_until is None:
            return
        loop = asyncio.get_running_loop()
        now = loop.time()
        self._read_until = max(self._read_until, self._parser.arrived_at + self._read_seconds)
        if now > self._read_until + HELD_UP_SECONDS:
            self._read_until = now + self._read_seconds
        if self._read_until > now:
            self._watching = loop.call_at(self._read_until, self._watch)
        elif self.is_connected:
            self._is_overdue = True
            self._writer.transport.abort()


class _Repeated:
    """Calls a function each so many seconds until it is cancelled.

    Args:
        seconds: the time between two calls.
        function: called with whether the event loop was held up meanwhile.
    """

    def __init__(self, seconds: float, function: Callable[..., None]) -> None:
        self._seconds = seconds
        self._function = function
        self._loop = asyncio.get_running_loop()
        self._start()

    def cancel(self) -> None:
        """Stop calling it."""
        self._timer.cancel()

    def _start(self) -> None:
        self._due_at = self._loop.time() + self._seconds
        self._timer = self._loop.call_at(self._due_at, self._call)

    def _call(self) -> None:
        self._function(is_late=self._loop.time() > self._due_at + HELD_UP_SECONDS)
        self._start()


class PromptConnection(_Prompt, Connection):
    """Over TCP."""


class PromptSSLConnection(_Prompt, SSLConnection):
    """Over TLS."""


class PromptUnixConnection(_Prompt, UnixDomainSocketConnection):
    """Over a Unix domain socket."""


class PromptMasterConnection(_Prompt, SentinelManagedConnection):
    """To the master that the Sentinels name."""


class PromptMasterSSLConnection(_Prompt, SentinelManagedSSLConnection):
    """The same over TLS."""
