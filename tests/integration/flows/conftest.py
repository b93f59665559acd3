from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from tests.loops import pytest_asyncio_loop_factories  # noqa: F401  # a hook
from tests.twins import FACES, Api

from oxcart import App, FlowProducer


@pytest.fixture(params=sorted(FACES))
def api(request: pytest.FixtureRequest) -> Api:
    """Each face of the API in turn: asyncio's, and the blocking one."""
    return FACES[request.param]


@pytest.fixture
async def app(valkey_url: str, prefix: str) -> AsyncIterator[App]:
    """An application without jobs yet."""
    async with App(valkey_url, prefix=prefix) as opened:
        yield opened


@pytest.fixture
async def flows(api: Api, valkey_url: str, prefix: str) -> AsyncIterator[FlowProducer]:
    """A producer of flows in the application's queues."""
    async with api.FlowProducer(redis_url=valkey_url, prefix=prefix) as producer:
        yield producer
