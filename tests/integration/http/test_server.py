"""The real server: it starts, answers, and stops without leaving anything behind."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
from contextlib import AsyncExitStack

import httpx2
import pytest
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send
from tests.integration.http.running import running

from oxcart.errors import ConfigError
from oxcart.http import serve
from oxcart.http.edge import SECURITY_HEADERS, Edge
from oxcart.http.limits import BodyLimit
from oxcart.http.problems import MEDIA_TYPE

LIMIT_BYTES = 1000


class Gate:
    """An application whose answer to ``/slow`` waits until it is opened."""

    def __init__(self) -> None:
        self.entered = asyncio.Event()
        self.opened = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        if scope["path"] == "/slow":
            self.entered.set()
            await self.opened.wait()
        body = await request.body()
        await PlainTextResponse(f"got {len(body)}")(scope, receive, send)


@pytest.fixture
def stop() -> asyncio.Event:
    return asyncio.Event()


async def test_server_answers_at_the_url_that_it_gave(stop: asyncio.Event) -> None:
    async with running(Edge(Gate()), stop) as url, httpx2.AsyncClient() as client:
        response = await client.get(url)

    assert response.text == "got 0"
    assert "server" not in response.headers
    assert response.headers["x-request-id"]


async def test_request_under_way_is_answered_before_the_server_stops(stop: asyncio.Event) -> None:
    gate = Gate()
    async with asyncio.TaskGroup() as tasks, running(gate, stop) as url:
        request = tasks.create_task(_get(f"{url}/slow"))
        await gate.entered.wait()
        stop.set()
        gate.opened.set()

    assert request.result() == "got 0"


async def test_cancelled_server_answers_what_is_under_way_too() -> None:
    gate = Gate()
    url: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    async with asyncio.TaskGroup() as tasks:
        server = tasks.create_task(serve(gate, "127.0.0.1", 0, ready=url.set_result))
        request = tasks.create_task(_get(f"{await url}/slow"))
        await gate.entered.wait()
        server.cancel()
        gate.opened.set()

    assert request.result() == "got 0"
    assert server.cancelled()
    await _assert_refused(url.result())


async def test_request_that_does_not_end_does_not_keep_the_server(stop: asyncio.Event) -> None:
    gate = Gate()
    async with asyncio.TaskGroup() as tasks, running(Edge(gate), stop, grace_seconds=1) as url:
        request = tasks.create_task(_get(f"{url}/slow"))
        await gate.entered.wait()
        stop.set()

    assert "/docs#stopping" in request.result()


async def test_idle_connection_does_not_keep_the_server(stop: asyncio.Event) -> None:
    async with httpx2.AsyncClient() as client, running(Gate(), stop, grace_seconds=60) as url:
        await client.get(url)


async def test_stopped_server_listens_no_more(stop: asyncio.Event) -> None:
    async with running(Gate(), stop) as url:
        pass

    await _assert_refused(url)


async def test_port_in_use_is_a_config_error_that_names_the_setting() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

        with pytest.raises(ConfigError, match="OXCART_API_PORT"):
            await serve(Gate(), "127.0.0.1", port)


async def test_server_leaves_signals_to_its_caller(stop: asyncio.Event) -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]

    async with running(Gate(), stop):
        during = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]

    assert before == during


REFUSED_REQUESTS = {
    "declared too long": (b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 1001\r\n\r\n", b"413"),
    "declared far too long": (
        b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 99999999999999999999\r\n\r\n",
        b"413",
    ),
    "chunks too long": (
        b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n"
        b"3E9\r\n" + b"x" * 1001 + b"\r\n",
        b"413",
    ),
    "two lengths": (
        b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nx",
        b"400",
    ),
    "length beside chunks": (
        b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\ntransfer-encoding: chunked\r\n\r\n"
        b"0\r\n\r\nGET /second HTTP/1.1\r\nhost: x\r\n\r\n",
        b"400",
    ),
    "chunks in HTTP/1.0": (
        b"POST / HTTP/1.0\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        b"400",
    ),
    "no chunk": (
        b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nnot-hex\r\n",
        b"400",
    ),
    "length that is none": (b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: -1\r\n\r\n", b"400"),
    "no HTTP": (b"\x16\x03\x01\x00\xff\x01\r\n\r\n", b"400"),
    "header without end": (b"GET / HTTP/1.1\r\nhost: x\r\na: " + b"x" * 100_000, b"400"),
}


@pytest.mark.parametrize("name", REFUSED_REQUESTS)
async def test_hostile_bytes_are_refused_and_the_connection_closed(
    stop: asyncio.Event, name: str
) -> None:
    raw, status = REFUSED_REQUESTS[name]
    app = Edge(BodyLimit(Gate(), max_body_bytes=LIMIT_BYTES))

    async with running(app, stop) as url, AsyncExitStack() as stack:
        answer = await _exchange(stack, url, raw)

    head, _, body = answer.partition(b"\r\n\r\n")
    headers = Headers(raw=[split(line) for line in head.split(b"\r\n")[1:]])
    assert b"HTTP/1.1 " + status == head[:12]
    assert headers["content-type"] == MEDIA_TYPE
    assert set(SECURITY_HEADERS) <= set(headers)
    assert json.loads(body)["requestId"] == headers["x-request-id"]


async def test_body_at_the_limit_is_taken(stop: asyncio.Event) -> None:
    app = Edge(BodyLimit(Gate(), max_body_bytes=LIMIT_BYTES))

    async with running(app, stop) as url, httpx2.AsyncClient() as client:
        response = await client.post(url, content=b"x" * LIMIT_BYTES)

    assert f"got {LIMIT_BYTES}" == response.text


def split(line: bytes) -> tuple[bytes, bytes]:
    name, _, value = line.partition(b": ")
    return name.lower(), value


async def _get(url: str) -> str:
    async with httpx2.AsyncClient() as client:
        return (await client.get(url)).text


async def _assert_refused(url: str) -> None:
    async with httpx2.AsyncClient() as client:
        with pytest.raises(httpx2.ConnectError):
            await client.get(url)


async def _exchange(stack: AsyncExitStack, url: str, raw: bytes) -> bytes:
    """Send bytes and read until the server closes, as it must."""
    host, port = url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    stack.push_async_callback(writer.wait_closed)
    stack.callback(writer.close)
    writer.write(raw)
    await writer.drain()
    return await reader.read()
