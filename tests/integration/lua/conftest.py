from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import redis
from tests.integration.lua.keyspace import Keyspace, make_store

from oxcart._wire.keys import QueueKeys


@pytest.fixture
async def space(valkey_url: str, valkey: redis.Redis, prefix: str) -> AsyncIterator[Keyspace]:
    """An empty queue."""
    store = make_store(valkey_url)
    yield Keyspace(valkey, QueueKeys(prefix, "q"), store)
    await store.aclose()
