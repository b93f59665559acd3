from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
import redis
from tests.loops import pytest_asyncio_loop_factories  # noqa: F401  # a hook
from tests.partition import check_partition

from oxcart import App, Queue


@pytest.fixture
async def app(valkey_url: str, prefix: str) -> AsyncIterator[App]:
    """An application without jobs yet."""
    async with App(valkey_url, prefix=prefix) as opened:
        yield opened


@pytest.fixture
def queue(app: App) -> Queue:
    """The application's default queue."""
    return app.queue("default")


@pytest.fixture(autouse=True)
def whole_queue(valkey: redis.Redis, prefix: str) -> Iterator[None]:
    """After each test the states of its default queue are a partition."""
    yield
    check_partition(valkey, prefix, "default", locks_may_be_gone=True)
