"""A real HTTP receiver of webhooks on loopback, which answers what the test wants."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A request as it arrived."""

    line: str
    headers: dict[str, str]
    body: bytes


@dataclass(slots=True, kw_only=True)
class Receiver:
    """A receiver.

    Attributes:
        port: where it listens.
        requests: what arrived.
        answers: what is answered, in order; then ``answer``.
        answer: the status and further header lines.
    """

    port: int = 0
    requests: list[Request] = field(default_factory=list)
    answers: list[str] = field(default_factory=list)
    answer: str = "204 No Content\r\ncontent-length: 0"
    body: bytes = b""
    connection_count: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"

    @property
    def ids(self) -> list[str]:
        return [request.headers["webhook-id"] for request in self.requests]

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connection_count += 1
        with suppress(OSError, asyncio.IncompleteReadError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            line, *rest = head.strip().split("\r\n")
            headers = {
                name.lower(): value for name, _, value in (item.partition(": ") for item in rest)
            }
            body = await reader.readexactly(int(headers.get("content-length", "0")))
            self.requests.append(Request(line=line, headers=headers, body=body))
            answer = self.answers.pop(0) if self.answers else self.answer
            if answer != "silence":
                writer.write(f"HTTP/1.1 {answer}\r\n\r\n".encode() + self.body)
                await writer.drain()
            else:
                await reader.read()
        writer.close()


@asynccontextmanager
async def receiving(*, tls: ssl.SSLContext | None = None) -> AsyncIterator[Receiver]:
    """Run a receiver for as long as the block lasts."""
    receiver = Receiver()
    server = await asyncio.start_server(receiver.handle, "127.0.0.1", 0, ssl=tls)
    receiver.port = server.sockets[0].getsockname()[1]
    try:
        yield receiver
    finally:
        server.close()
        if hasattr(server, "close_clients"):
            server.close_clients()
