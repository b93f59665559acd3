"""Accepting connections, also when the process or the system has no file descriptor left.

The event loops differ there: asyncio's logs each failure, libuv accepts and resets in silence. This
one logs at most every ten seconds, closes the connection that has waited longest to get a
descriptor back, and leaves the others in the listener's queue.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable

from oxcart.http.connections import ConnectionTable, Occasional

log = logging.getLogger("oxcart.http")

RETRY_SECONDS = 0.1
CLOSING_SECONDS = 0.005
"""How long it takes until a closed connection's descriptor is free."""


class Acceptor:
    """Accepts the connections of a listening socket.

    Args:
        listener: the socket, which is closed at the end.
        make_protocol: makes the protocol of a connection.
        table: the open connections.
    """

    def __init__(
        self,
        listener: socket.socket,
        make_protocol: Callable[[], asyncio.Protocol],
        table: ConnectionTable,
    ) -> None:
        self._listener = listener
        self._make_protocol = make_protocol
        self._table = table
        self._failures = Occasional()
        self._task: asyncio.Task[None] | None = None

    def start(self, tasks: asyncio.TaskGroup) -> None:
        """Begin to accept."""
        self._listener.settimeout(0)  # as the event loop wants it
        self._task = tasks.create_task(self._run())

    def close(self) -> None:
        """Accept no more."""
        if self._task is not None:
            self._task.cancel()

    async def wait_closed(self) -> None:
        """Wait until nothing more is accepted."""
        if self._task is not None:
            await asyncio.wait([self._task])

    async def _run(self) -> None:
        try:
            await self._accept()
        finally:
            self._listener.close()  # not before: the event loop still watches its descriptor

    async def _accept(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                connection = self._accept_waiting() or (await loop.sock_accept(self._listener))[0]
            except (ConnectionAbortedError, InterruptedError):
                continue  # the client is gone
            except OSError as error:
                await self._recover(error)
                continue
            try:
                await loop.connect_accepted_socket(self._make_protocol, connection)
            except OSError:
                connection.close()  # the client is gone

    def _accept_waiting(self) -> socket.socket | None:
        """Accept a connection that is there already, which costs less than to wait for one."""
        try:
            connection, _ = self._listener.accept()
        except BlockingIOError:
            return None
        connection.settimeout(0)
        return connection

    async def _recover(self, error: OSError) -> None:
        """Get a descriptor back, if there is one to get; then try again."""
        left_out_count = self._failures.passes()
        if left_out_count is not None:
            fact = {
                "error": error.strerror or str(error),
                "connections": self._table.open_count,
                "left_out_count": left_out_count,
            }
            log.warning("http.accept_failed", extra=fact)
        has_freed_one = self._table.close_longest_waiting()
        await asyncio.sleep(CLOSING_SECONDS if has_freed_one else RETRY_SECONDS)
