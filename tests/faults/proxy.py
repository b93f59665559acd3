"""A TCP proxy between a client and the server, with the faults that real networks have."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from urllib.parse import urlsplit

CHUNK = 65_536
THIN_CHUNK = 8_192
SMALL_BUFFER = 32_768


@dataclass(eq=False, slots=True)
class _Link:
    client: asyncio.StreamWriter
    server: asyncio.StreamWriter
    is_dead: asyncio.Event = field(default_factory=asyncio.Event)
    is_forgotten: bool = False
    is_deaf: bool = False
    is_mute: bool = False

    def reset(self) -> None:
        """Reset the client's end, and close the server's."""
        end: socket.socket = self.client.get_extra_info("socket")
        end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.client.transport.abort()
        self.server.transport.abort()
        self.is_dead.set()


class FaultProxy:
    """Forwards connections to a server until it is told to misbehave.

    Args:
        target: URL of the server.
        has_small_buffers: takes from clients hardly more than it has passed on, as a line does; the
            system would take megabytes from them at once.
    """

    def __init__(self, target: str, *, has_small_buffers: bool = False) -> None:
        self._has_small_buffers = has_small_buffers
        self._port = urlsplit(target).port
        self._links: set[_Link] = set()
        self._requests_flow = asyncio.Event()
        self._replies_flow = asyncio.Event()
        self.resume()
        self.bytes_per_s: float | None = None
        """Limit of the line in each direction, shared by all connections; ``None``: unlimited."""
        self.delay_s = 0.0
        """How long each chunk is under way."""
        self.is_swallowing = False
        """Whether new connections are accepted and never forwarded."""
        self._free_at = {True: 0.0, False: 0.0}
        self.url = ""
        """Where clients connect to."""

    @asynccontextmanager
    async def running(self) -> AsyncIterator[FaultProxy]:
        """Accept connections while the body runs."""
        async with asyncio.TaskGroup() as group:
            tasks: list[asyncio.Task[None]] = []
            is_closing = False

            def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                if is_closing:
                    writer.transport.abort()
                    return
                task = group.create_task(self._forward(reader, writer))
                # Also for a task that is cancelled before it has begun.
                task.add_done_callback(lambda _: writer.transport.abort())
                tasks.append(task)

            listening, limit = socket.create_server(("127.0.0.1", 0)), CHUNK
            if self._has_small_buffers:
                limit = THIN_CHUNK
                listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL_BUFFER)
            server = await asyncio.start_server(accept, sock=listening, limit=limit)
            port = server.sockets[0].getsockname()[1]
            self.url = f"redis://127.0.0.1:{port}/0"
            try:
                yield self
            finally:
                is_closing = True
                server.close()
                for task in tasks:
                    task.cancel()

    def cut(self) -> None:
        """Reset all connections; new ones are accepted."""
        for link in self._links:
            link.reset()

    def forget(self) -> None:
        """Reset each of the present connections when the client sends something."""
        for link in self._links:
            link.is_forgotten = True

    def half_open(self) -> None:
        """Never forward nor close the present connections again; new ones work."""
        for link in self._links:
            link.is_dead.set()

    def stall(self) -> None:
        """Hold everything back, on new connections too, until it is resumed."""
        self._requests_flow.clear()
        self._replies_flow.clear()

    def half_open_one_way(self, *, replies: bool) -> None:
        """Swallow one direction of the present connections from now on; new ones work.

        Args:
            replies: the direction from the server to the client, else the other one.
        """
        for link in self._links:
            link.is_deaf = link.is_deaf or not replies
            link.is_mute = link.is_mute or replies

    def hold_replies(self) -> None:
        """Let requests through and hold replies back, until it is resumed or cut."""
        self._replies_flow.clear()

    def resume(self) -> None:
        """Let everything flow again, with what was held back."""
        self._requests_flow.set()
        self._replies_flow.set()

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            from_server, to_server = await asyncio.open_connection("127.0.0.1", self._port)
        except OSError:
            writer.transport.abort()
            return
        link = _Link(writer, to_server)
        if self.is_swallowing:
            link.is_dead.set()
        self._links.add(link)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._pump(link, reader, to_server, is_reply=False))
                group.create_task(self._pump(link, from_server, writer, is_reply=True))
        finally:
            self._links.discard(link)
            writer.transport.abort()
            to_server.transport.abort()

    async def _pump(
        self,
        link: _Link,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        *,
        is_reply: bool,
    ) -> None:
        flow = self._replies_flow if is_reply else self._requests_flow
        # A RuntimeError is raised by uvloop for a connection that was reset.
        with suppress(OSError, RuntimeError):
            while chunk := await reader.read(CHUNK if self.bytes_per_s is None else THIN_CHUNK):
                await flow.wait()
                if self.delay_s or self.bytes_per_s:
                    await self._travel(len(chunk), is_reply=is_reply)
                if link.is_forgotten:
                    link.reset()
                if link.is_dead.is_set() or (link.is_mute if is_reply else link.is_deaf):
                    continue  # swallowed, so that the other side hears neither data nor an end
                writer.write(chunk)
                await writer.drain()
        if not link.is_dead.is_set():
            writer.close()

    async def _travel(self, size: int, *, is_reply: bool) -> None:
        """Wait for as long as a chunk is under way on the limited line."""
        now = asyncio.get_running_loop().time()
        free_at = max(now, self._free_at[is_reply])
        if self.bytes_per_s:
            free_at += size / self.bytes_per_s
            self._free_at[is_reply] = free_at
        await asyncio.sleep(free_at + self.delay_s - now)
