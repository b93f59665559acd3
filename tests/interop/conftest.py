from __future__ import annotations

from collections.abc import Iterator

import pytest
import redis
import tests.interop.operations  # noqa: F401  # registers what can be replayed

DATABASE = 9


@pytest.fixture
def url(valkey_url: str) -> str:
    """A database of their own: the vectors' keys have the default prefix."""
    return f"{valkey_url.removesuffix('/0')}/{DATABASE}"


@pytest.fixture
def client(url: str) -> Iterator[redis.Redis]:
    """A plain client for that database, which is empty."""
    client = redis.Redis.from_url(url)
    client.flushdb()
    yield client
    client.flushdb()
    client.close()
