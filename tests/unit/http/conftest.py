from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack

import httpx2
import pytest
from tests.unit.http.fakes import OPERATOR_KEY, SERVICE_KEY, FakeSystem, make_api

BASE_URL = "http://127.0.0.1:8400"
REMOTE = ("203.0.113.7", 50000)
LOOPBACK = ("127.0.0.1", 50000)

Connect = Callable[..., httpx2.AsyncClient]


@pytest.fixture
def system() -> FakeSystem:
    return FakeSystem()


@pytest.fixture
async def connect(system: FakeSystem) -> AsyncIterator[Connect]:
    """Makes clients of an application on the fake system."""
    async with AsyncExitStack() as stack:

        def connect(
            headers: dict[str, str] | None = None, peer: tuple[str, int] = REMOTE
        ) -> httpx2.AsyncClient:
            transport = httpx2.ASGITransport(make_api(system), client=peer)
            client = httpx2.AsyncClient(
                transport=transport, base_url=BASE_URL, headers=headers or {}
            )
            stack.push_async_callback(client.aclose)
            return client

        yield connect


@pytest.fixture
def anonymous(connect: Connect) -> httpx2.AsyncClient:
    return connect()


@pytest.fixture
def operator(connect: Connect) -> httpx2.AsyncClient:
    return connect({"authorization": f"Bearer {OPERATOR_KEY}"})


@pytest.fixture
def ada(connect: Connect) -> httpx2.AsyncClient:
    return connect({"authorization": f"Bearer {SERVICE_KEY}", "x-oxcart-user": "user-ada"})
