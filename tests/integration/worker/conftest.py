"""An application without jobs yet, on a real Valkey."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from tests.loops import pytest_asyncio_loop_factories  # noqa: F401  # a hook

from oxcart import App


@pytest.fixture
async def app(valkey_url: str, prefix: str) -> AsyncIterator[App]:
    async with App(valkey_url, prefix=prefix) as opened:
        yield opened
