"""Connections that block: the wait on a queue's marker, and reading its event stream."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from oxcart._store.address import Address, Kind
from oxcart._store.connection import Timeouts, aclose_client, async_server
from oxcart._store.translate import translated
from oxcart.errors import StoreError

if TYPE_CHECKING:
    from redis.asyncio import Redis

T = TypeVar("T")
Entries = list[tuple[bytes, dict[bytes, bytes]]]

READ_MARGIN_S = 3.0
"""How much longer than the block the read may take before the connection counts as dead."""


class Host(Protocol):
    """Whoever holds a key and answers for it, over one connection."""

    async def ask(self, key: str, send: Callable[[Redis], Awaitable[T]]) -> T:
        """Send a command to the server that holds a key."""
        ...

    async def aclose(self) -> None:
        """Close the connection."""
        ...


class OneServer:
    """The only server there is, or the master that the Sentinels name at each connecting."""

    def __init__(self, client: Redis) -> None:
        self._client = client

    async def ask(self, _: str, send: Callable[[Redis], Awaitable[T]]) -> T:
        """Send a command to the server."""
        return await send(self._client)

    async def aclose(self) -> None:
        """Close the connection."""
        await aclose_client(self._client)


class BlockingConnection:
    """A connection of its own for commands that block.

    In a cluster it is a connection to the node that owns the key's slot, and follows the slot.

    Args:
        url: the server.
        timeouts: for connecting; the read time-out is the longest block and a margin.
        longest_block_s: the longest block that will be asked for.
        name: the connection's name on the server.
    """

    def __init__(
        self, url: str, timeouts: Timeouts, *, longest_block_s: float, name: str | None = None
    ) -> None:
        address = Address.parse(url)
        margin = Timeouts(connect=timeouts.connect, command=f"{READ_MARGIN_S}s")
        self._host: Host
        if address.kind is Kind.CLUSTER:
            from oxcart._store.slot_owner import SlotOwner

            self._host = SlotOwner(address, margin, block_s=longest_block_s, name=name)
        else:
            client = async_server(address, margin, block_s=longest_block_s, name=name)
            self._host = OneServer(client)

    async def connect(self, key: str) -> None:
        """Connect now, under the connection's name, instead of at the first wait on a key."""
        # Not by PING, which any node of a cluster answers.
        with translated("EXISTS"):
            await self._host.ask(key, lambda client: client.execute_command("EXISTS", key))

    async def pop_marker(self, marker_key: str, block_s: float) -> float | None:
        """Wait for a wake-up token (wire format, section 5).

        Returns:
            The token's score: 0 for work, else the ms at which the next delayed job is due;
            ``None`` when the time was over.
        """
        with translated("BZPOPMIN"):
            reply = await self._host.ask(
                marker_key,
                lambda client: client.execute_command("BZPOPMIN", marker_key, block_s),
            )
        return None if reply is None else float(reply[2])

    async def read_events(self, events_key: str, after: str, block_ms: int, count: int) -> Entries:
        """Wait for stream entries after an id; an empty list when the time was over."""
        with translated("XREAD"):
            reply: Any = await self._host.ask(
                events_key,
                lambda client: client.xread({events_key: after}, count=count, block=block_ms),
            )
        entries: Entries = reply[0][1] if reply else []
        return entries

    async def interrupt(self) -> None:
        """End a wait under way, which raises ``StoreUnavailable``, by closing the connection."""
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connection."""
        # However closing a dead connection ends, it is closed.
        with suppress(StoreError), translated("close"):
            await self._host.aclose()
