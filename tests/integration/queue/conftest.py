"""A queue on a real Valkey, and a way to run jobs to their end by hand."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from tests.integration.queue.hand import Hand

from oxcart import Queue


@pytest.fixture
async def queue(valkey_url: str, prefix: str) -> AsyncIterator[Queue]:
    async with Queue("q", redis_url=valkey_url, prefix=prefix) as queue:
        yield queue


@pytest.fixture
def hand(queue: Queue) -> Hand:
    """A worker whose moves the test makes."""
    return Hand(queue)
