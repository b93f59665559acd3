"""No client holds the server up: slow heads, stalled downloads, too many connections."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import httpx2
import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.types import Receive, Scope, Send
from tests.integration.http.running import running
from tests.support import wait_until

from oxcart.http.connections import ConnectionLimits
from oxcart.http.edge import SECURITY_HEADERS, Edge
from oxcart.http.problems import MEDIA_TYPE

SHORT = ConnectionLimits(head_seconds=1.0, stall_seconds=0.4)
GET = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"
PROGRAM = Path(__file__).parent / "few_descriptors.py"


class Site:
    """``/slow`` waits until it is opened, ``/endless`` never ends, any other path answers."""

    def __init__(self) -> None:
        self.slow_count = 0
        self.opened = asyncio.Event()
        self.endless_ended = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/endless":
            await StreamingResponse(self._endless())(scope, receive, send)
            return
        if scope["path"] == "/slow":
            self.slow_count += 1
            await self.opened.wait()
        if scope["path"] == "/body":
            await Request(scope, receive).body()
        await PlainTextResponse("hello")(scope, receive, send)

    async def _endless(self) -> AsyncIterator[bytes]:
        try:
            while True:
                yield b"x" * 65_536
                await asyncio.sleep(0)  # uvicorn's send does not yield once the client is gone
        finally:
            self.endless_ended.set()


@pytest.fixture
def site() -> Site:
    return Site()


@pytest.fixture
def stop() -> asyncio.Event:
    return asyncio.Event()


SLOW_HEADS = {
    "silence": (b"", b"", None),
    "half a request line": (b"GET / HT", b"", 408),
    "a header now and then": (b"GET / HTTP/1.1\r\n", b"a: b\r\n", 408),
    "silence after a response": (GET, b"", 200),
    "a second head that does not end": (GET + b"GET / HTTP", b"", 200),
    "a body that the application does not read": (
        b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 9999\r\n\r\n", b"x", 200,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", SLOW_HEADS)
async def test_connection_whose_next_request_does_not_come_is_closed(
    site: Site, stop: asyncio.Event, name: str
) -> None:
    first, repeated, status = SLOW_HEADS[name]

    async with running(Edge(site), stop, limits=SHORT) as url, connection(url) as (reader, writer):
        writer.write(first)
        answer = await _read_while_writing(reader, writer, repeated)

    assert status == (int(answer[9:12]) if answer else None)
    if status == 408:
        head, _, body = answer.partition(b"\r\n\r\n")
        assert f"content-type: {MEDIA_TYPE}".encode() in head
        assert all(header.encode() in head for header in (*SECURITY_HEADERS, "x-request-id"))
        assert json.loads(body)["type"] == "/docs#request-timeout"


async def test_request_may_take_longer_than_its_head(site: Site, stop: asyncio.Event) -> None:
    async with (
        running(Edge(site), stop, limits=SHORT) as url,
        connection(url) as (reader, writer),
        asyncio.TaskGroup() as tasks,
    ):
        writer.write(b"POST /body HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\n")
        for _ in range(10):
            await asyncio.sleep(0.15)  # a slow body, not a wait for anything
            writer.write(b"x")
        answer = tasks.create_task(reader.readuntil(b"hello"))

    assert b"HTTP/1.1 200 OK" in answer.result()


async def test_download_that_is_not_read_is_ended(
    site: Site, stop: asyncio.Event, caplog: pytest.LogCaptureFixture
) -> None:
    async with running(Edge(site), stop, limits=SHORT) as url, connection(url) as (_, writer):
        writer.transport.pause_reading()  # type: ignore[attr-defined]  # a socket's transport
        writer.write(b"GET /endless HTTP/1.1\r\nhost: x\r\n\r\n")
        async with asyncio.timeout(20):
            await site.endless_ended.wait()

    assert "http.response_stalled" in caplog.messages


async def test_silent_connections_make_room_for_new_ones(
    site: Site, stop: asyncio.Event, caplog: pytest.LogCaptureFixture
) -> None:
    limits = ConnectionLimits(max_connections=4)
    async with running(Edge(site), stop, limits=limits) as url, AsyncExitStack() as stack:
        silent = [await stack.enter_async_context(connection(url)) for _ in range(20)]
        async with httpx2.AsyncClient() as client:
            response = await client.get(url)
        async with asyncio.timeout(10):
            ended = [await reader.read() for reader, _ in silent[:16]]

    assert response.text == "hello"
    assert ended == [b""] * 16
    assert caplog.messages.count("http.connection_limit_reached") == 1


async def test_too_many_requests_at_a_time_are_refused_with_503(
    site: Site, stop: asyncio.Event
) -> None:
    limits = ConnectionLimits(max_connections=4)
    async with running(Edge(site), stop, limits=limits) as url, AsyncExitStack() as stack:
        busy = [await stack.enter_async_context(connection(url)) for _ in range(4)]
        for _, writer in busy:
            writer.write(b"GET /slow HTTP/1.1\r\nhost: x\r\n\r\n")
        await wait_until(lambda: site.slow_count == 4, what="four requests under way")
        refused, _ = await stack.enter_async_context(connection(url))
        answer = await refused.read()
        site.opened.set()
        async with asyncio.timeout(10):
            served = [await reader.readuntil(b"hello") for reader, _ in busy]

    assert answer.startswith(b"HTTP/1.1 503 Service Unavailable\r\n")
    assert b"\r\nretry-after: 5\r\n" in answer
    assert b"/docs#overloaded" in answer
    assert all(b"200 OK" in one for one in served)


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
async def test_server_without_descriptors_logs_it_and_goes_on_serving(loop: str) -> None:
    """Under uvloop all clients were reset, and nothing was logged."""
    program = await asyncio.create_subprocess_exec(
        sys.executable,
        PROGRAM,
        loop,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert program.stdout is not None
    assert program.stderr is not None
    try:
        url = (await program.stdout.readline()).decode().strip()
        async with asyncio.timeout(20), AsyncExitStack() as stack:
            for _ in range(60):
                await stack.enter_async_context(connection(url))
            line = await program.stderr.readline()
            async with httpx2.AsyncClient(timeout=10) as client:
                response = await client.get(url)
    finally:
        program.kill()
        await program.communicate()

    assert response.text == "hello"
    assert b"http.accept_failed" in line


@asynccontextmanager
async def connection(
    url: str,
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    host, port = url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        yield reader, writer
    finally:
        writer.transport.abort()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


async def _read_while_writing(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, repeated: bytes
) -> bytes:
    """Send something every 0.1 s until the server closes the connection; return what it sent."""
    received = b""
    with contextlib.suppress(ConnectionError):
        async with asyncio.timeout(20):
            while True:
                try:
                    async with asyncio.timeout(0.1):
                        chunk = await reader.read(65_536)
                except TimeoutError:
                    writer.write(repeated)
                    continue
                if not chunk:
                    break
                received += chunk
    return received
