"""Requests without a key: the real server, the real database, bytes on a socket."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.integration.database.rows import insert_user
from tests.integration.http.running import running

from oxcart.http import create_app
from oxcart.settings import Settings
from oxcart.system import System, open_system

BODY = b'{"type":"MEMBERS"}'
LOCAL = (b"host: 127.0.0.1:8400",)

REFUSED: dict[str, tuple[bytes, tuple[bytes, ...]]] = {
    "HTTP/1.0, as a bare reverse proxy sends": (b"HTTP/1.0", LOCAL),
    "HTTP/1.0 without a host": (b"HTTP/1.0", ()),
    "the site's host": (b"HTTP/1.1", (b"host: club.example",)),
    "text behind an address": (b"HTTP/1.1", (b"host: [::1]evil",)),
    "a name before an address": (b"HTTP/1.1", (b"host: evil@127.0.0.1",)),
    "X-Forwarded-Proto": (b"HTTP/1.1", (*LOCAL, b"X-Forwarded-Proto: https")),
    "X-Forwarded-Port": (b"HTTP/1.1", (*LOCAL, b"X-Forwarded-Port: 443")),
    "an empty X-Forwarded-For": (b"HTTP/1.1", (*LOCAL, b"X-Forwarded-For:")),
    "Via": (b"HTTP/1.1", (*LOCAL, b"Via: 1.1 proxy")),
    "CF-Connecting-IP": (b"HTTP/1.1", (*LOCAL, b"CF-Connecting-IP: 203.0.113.7")),
    "True-Client-IP": (b"HTTP/1.1", (*LOCAL, b"True-Client-IP: 203.0.113.7")),
    "Client-IP": (b"HTTP/1.1", (*LOCAL, b"Client-IP: 127.0.0.1")),
    "another origin": (b"HTTP/1.1", (*LOCAL, b"Origin: https://evil.example")),
}


@asynccontextmanager
async def development(
    folder: Path, redis_url: str, prefix: str, **changes: Any
) -> AsyncIterator[System]:
    """The system as ``oxcart dev`` opens it, without the sample data."""
    settings = Settings(data_dir=folder, redis_url=redis_url, prefix=prefix, **changes)
    async with open_system(settings) as system:
        yield system


async def request_export(
    url: str, version: bytes = b"HTTP/1.1", headers: tuple[bytes, ...] = LOCAL
) -> bytes:
    """Ask for the members over a socket, and return the status line and what follows."""
    host, port = url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    lines = (
        b"POST /api/exports " + version,
        *headers,
        b"connection: close",
        b"content-type: application/json",
        b"content-length: %d" % len(BODY),
    )
    writer.write(b"\r\n".join(lines) + b"\r\n\r\n" + BODY)
    await writer.drain()
    async with asyncio.timeout(10):
        answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    return answer


async def add_sample_administrator(system: System) -> None:
    await insert_user(
        system.database, user_id="user_admin", email="admin@cofactor.example", role="ADMIN"
    )


async def test_only_a_direct_request_of_this_machine_acts_for_the_sample_administrator(
    valkey_url: str, prefix: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    stop = asyncio.Event()
    async with development(tmp_path, valkey_url, prefix) as system:
        await add_sample_administrator(system)
        async with running(create_app(system), stop) as url:
            answers = {
                name: await request_export(url, version, headers)
                for name, (version, headers) in REFUSED.items()
            }
            allowed = await request_export(url)

    codes = {name: answer.split(b" ", 2)[1] for name, answer in answers.items()}
    assert dict.fromkeys(REFUSED, b"401") == codes
    assert allowed.startswith(b"HTTP/1.1 200 "), allowed
    assert "api.default_user_enabled" in caplog.messages


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"database_url": "sqlite:///{folder}/club.db"}, b"DATABASE_URL is set"),
        ({"api_url": "https://api.club.example"}, b"OXCART_API_URL is not a loopback address"),
    ],
)
async def test_data_of_ones_own_is_never_open(
    valkey_url: str,
    prefix: str,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    changes: dict[str, str],
    reason: bytes,
) -> None:
    stop = asyncio.Event()
    values = {name: text.format(folder=tmp_path) for name, text in changes.items()}
    async with development(tmp_path, valkey_url, prefix, **values) as system:
        await add_sample_administrator(system)
        async with running(create_app(system), stop) as url:
            answer = await request_export(url)

    assert answer.startswith(b"HTTP/1.1 401 ")
    assert reason in answer
    assert "api.default_user_enabled" not in caplog.messages


async def test_nobody_but_the_sample_administrator_is_the_default_user(
    valkey_url: str, prefix: str, tmp_path: Path
) -> None:
    stop = asyncio.Event()
    async with development(tmp_path, valkey_url, prefix) as system:
        await insert_user(system.database, user_id="real_admin", role="ADMIN")
        await insert_user(system.database, user_id="user_admin", role="ADMIN")
        async with running(create_app(system), stop) as url:
            answer = await request_export(url)

    assert answer.startswith(b"HTTP/1.1 401 ")
    assert b"no sample data" in answer
