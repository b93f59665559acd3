"""What every suite shares: a real Valkey, a prefix a test, and waiting without sleeping."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest
import redis

from tests.support import ValkeyServer


@pytest.fixture(scope="session")
def valkey_url() -> Iterator[str]:
    """The URL of a real Valkey for the whole session."""
    server = ValkeyServer()
    server.start()
    yield server.url
    server.remove()


@pytest.fixture
def prefix() -> str:
    """A key prefix that no other test uses."""
    return f"t{uuid.uuid4().hex[:12]}"


@pytest.fixture
def valkey(valkey_url: str) -> Iterator[redis.Redis]:
    """A plain client, to look at what stands in the server."""
    client = redis.Redis.from_url(valkey_url)
    yield client
    client.close()


@pytest.fixture
def own_valkey() -> Iterator[ValkeyServer]:
    """A Valkey of the test's own, with an append-only file, to be killed and restarted."""
    server = ValkeyServer(is_durable=True)
    server.start()
    yield server
    server.remove()
