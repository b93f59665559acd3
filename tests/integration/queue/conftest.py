"""A queue on a real Valkey, and a way to run jobs to their end by hand."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from tests.integration.queue.hand import Hand
from tests.loops import pytest_asyncio_loop_factories  # noqa: F401  # a hook
from tests.twins import FACES, Api

from oxcart import Queue


@pytest.fixture(params=sorted(FACES))
def api(request: pytest.FixtureRequest) -> Api:
    """Each face of the API in turn: asyncio's, and the blocking one."""
    return FACES[request.param]


@pytest.fixture
async def queue(api: Api, valkey_url: str, prefix: str) -> AsyncIterator[Queue]:
    async with api.Queue("q", redis_url=valkey_url, prefix=prefix) as queue:
        yield queue


@pytest.fixture
def hand(queue: Queue) -> Hand:
    """A worker whose moves the test makes."""
    return Hand(queue)
