from __future__ import annotations

import asyncio

import pytest
from tests.integration.servers.kinds import Site

from oxcart._store.blocking import BlockingConnection
from oxcart._store.connection import Timeouts


@pytest.mark.parametrize("turns", range(12))
async def test_a_wait_can_be_cancelled_at_any_instant(site: Site, turns: int) -> None:
    """Also as its command has just been sent, where the client by itself loses the cancellation."""
    key = f"{site.prefix}:work:marker"
    connection = BlockingConnection(site.url, Timeouts(), longest_block_s=30)
    await connection.connect(key)

    async with asyncio.timeout(20), asyncio.TaskGroup() as group:
        waiting = group.create_task(connection.pop_marker(key, 30))
        for _ in range(turns):
            await asyncio.sleep(0)
        waiting.cancel()
    await connection.aclose()

    assert waiting.cancelled()


async def test_a_wait_ends_by_itself(site: Site) -> None:
    connection = BlockingConnection(site.url, Timeouts(), longest_block_s=1)

    score = await connection.pop_marker(f"{site.prefix}:work:marker", 0.05)
    entries = await connection.read_events(f"{site.prefix}:work:events", "0", 50, 10)
    await connection.aclose()

    assert (None, []) == (score, entries)
