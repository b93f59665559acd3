"""Connections that block: the wait on a queue's marker, and reading its event stream."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from oxcart._store.connection import Timeouts, async_client
from oxcart._store.translate import translated
from oxcart.errors import StoreError

if TYPE_CHECKING:
    from redis.asyncio import Redis

Entries = list[tuple[bytes, dict[bytes, bytes]]]

READ_MARGIN_S = 3.0
"""How much longer than the block the read may take before the connection counts as dead."""


class BlockingConnection:
    """A connection of its own for commands that block.

    Args:
        url: the server.
        timeouts: for connecting; the read time-out is the longest block and a margin.
        longest_block_s: the longest block that will be asked for.
        name: the connection's name on the server.
    """

    def __init__(
        self, url: str, timeouts: Timeouts, *, longest_block_s: float, name: str | None = None
    ) -> None:
        margin = Timeouts(connect=timeouts.connect, command=f"{READ_MARGIN_S}s")
        self._client: Redis = async_client(url, margin, block_s=longest_block_s, name=name)

    async def connect(self) -> None:
        """Connect now, under the connection's name, instead of at the first wait."""
        with translated("PING"):
            await self._client.execute_command("PING")

    async def pop_marker(self, marker_key: str, block_s: float) -> float | None:
        """Wait for a wake-up token (wire format, section 5).

        Returns:
            The token's score: 0 for work, else the ms at which the next delayed job is due;
            ``None`` when the time was over.
        """
        with translated("BZPOPMIN"):
            reply = await self._client.execute_command("BZPOPMIN", marker_key, block_s)
        return None if reply is None else float(reply[2])

    async def read_events(self, events_key: str, after: str, block_ms: int, count: int) -> Entries:
        """Wait for stream entries after an id; an empty list when the time was over."""
        with translated("XREAD"):
            reply: Any = await self._client.xread({events_key: after}, count=count, block=block_ms)
        entries: Entries = reply[0][1] if reply else []
        return entries

    async def aclose(self) -> None:
        """Close the connection."""
        # However closing a dead connection ends, it is closed.
        with suppress(StoreError), translated("close"):
            await self._client.aclose()
