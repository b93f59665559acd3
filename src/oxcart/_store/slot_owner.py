"""One connection into a cluster: to the node that owns a key's slot, wherever the slot goes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar

from redis.crc import key_slot
from redis.exceptions import ClusterError, MovedError, RedisError, SlotNotCoveredError

from oxcart._store.connection import Timeouts, async_connection, async_node, node_options

if TYPE_CHECKING:
    from redis.asyncio import Redis

    from oxcart._store.address import Address

T = TypeVar("T")
Host = tuple[str, int]

MOVES = 5
"""How often one command may be sent on to another node."""


class SlotOwner:
    """The node that owns a slot, found at the first command and again after every error.

    It is a client of that one node, and not the cluster's: a worker must be seen as one connection
    by name, and the cluster's client opens some to every node.

    Args:
        address: the cluster.
        timeouts: see ``Timeouts``.
        block_s: the longest block that will be asked for.
        name: the connection's name on the node.
    """

    def __init__(
        self, address: Address, timeouts: Timeouts, *, block_s: float, name: str | None
    ) -> None:
        self._given = address.hosts
        self._seen: tuple[Host, ...] = ()
        self._asking = node_options(address, timeouts)
        self._waiting = node_options(address, timeouts, block_s, name)
        self._client: Redis | None = None
        self._at: Host = ("", 0)

    async def ask(self, key: str, send: Callable[[Redis], Awaitable[T]]) -> T:
        """Send a command to the node that owns a key's slot."""
        for _ in range(MOVES):
            client = self._client
            if client is None:
                client = self._connect(await self._find(key))
            try:
                return await send(client)
            except MovedError as error:
                await self.aclose()
                # Without a host it is the same one, at another port.
                self._connect((error.host or self._at[0], error.port))
            except (RedisError, OSError):
                await self.aclose()
                raise
        raise ClusterError("the slot is moved from node to node")

    async def aclose(self) -> None:
        """Close the connection."""
        client, self._client = self._client, None
        if client is not None:
            # However closing a dead connection ends, it is closed.
            with suppress(RedisError, OSError):
                await client.aclose()

    def _connect(self, host: Host) -> Redis:
        self._at = host
        self._client = async_node(host, self._waiting)
        return self._client

    async def _find(self, key: str) -> Host:
        """Ask one node after the other which of them owns the slot of a key."""
        slot = key_slot(key.encode())
        failure: Exception = SlotNotCoveredError(f"no node owns slot {slot}")
        # Those seen last, too: the ones of the URL may all be gone by now.
        for host in dict.fromkeys(self._given + self._seen):
            connection = async_connection(host, self._asking)
            try:
                await connection.connect()
                await connection.send_command("CLUSTER", "SLOTS")
                rows = await connection.read_response()
            except (RedisError, OSError) as error:
                failure = error
                continue
            finally:
                # Without waiting, so that no second cancellation leaves it open.
                await connection.disconnect(nowait=True)
            self._seen = tuple(_host_of(node, host) for row in rows for node in row[2:])
            for first, last, primary, *_ in rows:
                if first <= slot <= last:
                    return _host_of(primary, host)
        raise failure


def _host_of(node: list[Any], asked: Host) -> Host:
    """A node of a slot; one that names no host is at the host that was asked."""
    name = (node[0] or b"").decode()
    return (name if name not in ("", "?") else asked[0], int(node[1]))
