"""A connection for blocking code that waits for the server, for no longer than it is told."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar

from oxcart._store.blocking import READ_MARGIN_S, Entries
from oxcart._store.call import Call, command
from oxcart._store.connection import Timeouts, close_client, sync_client
from oxcart._store.translate import is_missing_script, translated
from oxcart.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from redis import Redis
    from redis.connection import ConnectionInterface

    from oxcart._store.connection import SyncClient

T = TypeVar("T")

MOVES = 5
"""How often one command may be sent on to another node of a cluster."""


class SyncBlockingConnection:
    """A connection of its own, whose every wait has a time of its own. For one thread at a time.

    Args:
        url: the server.
        timeouts: for connecting, and for a reply while connecting.
        longest_block_s: the longest block that will be asked for.
    """

    def __init__(self, url: str, timeouts: Timeouts, *, longest_block_s: float) -> None:
        self._url = url
        self._timeouts = timeouts
        self._longest_block_s = longest_block_s
        self._client: SyncClient | None = None

    def run(self, call: Call[T], *, key: str, within_s: float) -> T:
        """Send a call and wait for its reply.

        Args:
            call: the call.
            key: one of its keys, by which a cluster's node is found.
            within_s: how long to wait for the reply.

        Raises:
            StoreTimeout: the reply did not come in time; the connection is closed.
            StoreUnavailable: as ``Store.run``.
            ScriptFailed: as ``Store.run``.
        """
        with translated(call.name):
            try:
                reply = self._ask(key, call.packed(), within_s)
            except Exception as error:
                if not is_missing_script(error):
                    raise
                reply = self._ask(key, call.packed_with_source(), within_s)
        return call.read(reply)

    def read_events(
        self,
        events_key: str,
        after: str,
        block_ms: int,
        count: int,
        *,
        margin_s: float = READ_MARGIN_S,
    ) -> Entries:
        """Wait for stream entries after an id; an empty list when the time was over.

        Args:
            events_key: the stream.
            after: the id.
            block_ms: how long to wait for an entry, up to the longest block.
            count: how many entries are read at the most.
            margin_s: how much longer the reply may take before the connection counts as dead.
        """
        block_s = min(block_ms / 1_000, self._longest_block_s)
        words = ("XREAD", "COUNT", count, "BLOCK", int(block_s * 1_000), "STREAMS", events_key)
        call: Call[Any] = command((*words, after), lambda reply: reply)
        reply = self.run(call, key=events_key, within_s=block_s + margin_s)
        entries: Entries = reply[0][1] if reply else []
        return entries

    def interrupt(self) -> None:
        """Do nothing: the thread that waits looks up when its wait is over.

        Another thread must not close a connection that is being read.
        """

    def close(self) -> None:
        """Close the connection."""
        client, self._client = self._client, None
        if client is not None:
            # However closing a dead connection ends, it is closed.
            with suppress(StoreError), translated("close"):
                close_client(client)

    def _ask(self, key: str, words: Sequence[Any], within_s: float) -> Any:
        """Send a command to the server that holds a key, wherever the key's slot went."""
        from redis import exceptions

        ends_at = time.monotonic() + within_s
        for _ in range(MOVES):
            try:
                return _exchange(self._server_of(key), words, ends_at - time.monotonic())
            except exceptions.MovedError:
                self.close()
            except (exceptions.ConnectionError, exceptions.TimeoutError, OSError):
                self.close()
                raise
        raise exceptions.ClusterError("the slot is moved from node to node")

    def _server_of(self, key: str) -> Redis:
        from redis import Redis

        if self._client is None:
            self._client = sync_client(self._url, self._timeouts)
        if isinstance(self._client, Redis):
            return self._client
        node = self._client.get_node_from_key(key)
        assert node is not None  # noqa: S101  # of a slot without a node it raises
        return self._client.get_redis_connection(node)


def _exchange(client: Redis, words: Sequence[Any], within_s: float) -> Any:
    """Send a command over a client's only connection, and wait for the reply so long."""
    from redis import exceptions

    connection = client.connection_pool.get_connection()
    try:
        connection.send_command(*words)
        _wait_for_reply(connection, within_s)
        return client.parse_response(connection, words[0])
    except exceptions.ResponseError:
        raise
    except BaseException:
        connection.disconnect()  # the reply may still come, and belongs to nobody
        raise
    finally:
        client.connection_pool.release(connection)


def _wait_for_reply(connection: ConnectionInterface, within_s: float) -> None:
    from redis import exceptions

    if not connection.can_read(timeout=max(within_s, 0)):
        raise exceptions.TimeoutError(f"no reply within {within_s:.1f} s")
