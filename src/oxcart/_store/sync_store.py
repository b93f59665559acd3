"""Running calls from blocking code: the only place where it talks to the server."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from oxcart._store.call import Call
from oxcart._store.connection import Timeouts, close_client, sync_client
from oxcart._store.location import Location
from oxcart._store.translate import is_missing_script, translated
from oxcart.errors import ConfigError, StoreTimeout, StoreUnavailable

if TYPE_CHECKING:
    from oxcart._store.connection import SyncClient

T = TypeVar("T")


class SyncStore:
    """A server, reached from any thread.

    Args:
        location: where the server is.
        timeouts: how long to wait for the server.
    """

    def __init__(self, location: Location, *, timeouts: Timeouts | None = None) -> None:
        self.location = location
        self.timeouts = timeouts or Timeouts.from_environment()
        self._client: SyncClient | None = None
        self._ended: str | None = None
        self._making = threading.Lock()

    def run(self, call: Call[T]) -> T:
        """Send one call and read its reply; see ``Store.run``."""
        reply = self._try_twice(lambda: self._send(call), is_repeatable=call.is_repeatable)
        return call.read(reply)

    def run_all(self, calls: Sequence[Call[Any]]) -> list[Any]:
        """Send calls in one round trip, not atomically; see ``Store.run_all``."""
        replies = self._try_twice(
            lambda: self._send_all(calls), is_repeatable=all(call.is_repeatable for call in calls)
        )
        results = []
        for call, reply in zip(calls, replies, strict=True):
            if isinstance(reply, Exception):
                if not is_missing_script(reply):
                    with translated(call.name):
                        raise reply
                results.append(self.run(call))
            else:
                results.append(call.read(reply))
        return results

    def run_in_order(self, calls: Sequence[Call[T]]) -> list[T]:
        """Send scripts one after the other; see ``Store.run_in_order``."""
        return [self.run(call) for call in calls]

    def run_everywhere(self, call: Call[T]) -> list[T]:
        """Send a call without keys to every server that owns keys; see ``Store``."""
        if not self.location.is_cluster:
            return [self.run(call)]
        from oxcart._store.cluster import ask_primaries_sync

        with translated(call.name):
            client: Any = self._connected()
            replies = ask_primaries_sync(client, call.packed())
        return [call.read(reply) for reply in replies]

    def close(self) -> None:
        """Close the connections."""
        with self._making:
            client, self._client = self._client, None
        if client is not None:
            close_client(client)

    def end(self, owner: str) -> None:
        """Close the connections; none is opened before ``begin``; see ``Store.end``."""
        self._ended = owner
        self.close()

    def begin(self) -> None:
        """Open connections again when they are needed."""
        self._ended = None

    def ensure_open(self) -> None:
        """Check that connections may be opened.

        Raises:
            ConfigError: whoever owns the store has closed it.
        """
        if self._ended is not None:
            raise ConfigError(f"{self._ended} was closed by close(): `with` opens it again")

    def _try_twice(self, send: Callable[[], T], *, is_repeatable: bool) -> T:
        """Send; if the connection broke, see that the server is there and send once more."""
        try:
            return send()
        except StoreUnavailable as error:
            if isinstance(error, StoreTimeout) or not is_repeatable:
                raise
            self.location.restore()
            return send()

    def _send_all(self, calls: Sequence[Call[Any]]) -> list[Any]:
        with translated("pipeline"):
            client: Any = self._connected()
            pipeline = client.pipeline(transaction=False)
            for call in calls:
                pipeline.execute_command(*call.packed())
            replies: list[Any] = pipeline.execute(raise_on_error=False)
            return replies

    def _connected(self) -> SyncClient:
        """The client; a cluster's asks for the nodes when it is made, and may fail then."""
        with self._making:
            if self._client is None:
                self.ensure_open()
                self._client = sync_client(self.location.url(), self.timeouts)
            return self._client

    def _send(self, call: Call[Any]) -> Any:
        with translated(call.name):
            client: Any = self._connected()
            try:
                return client.execute_command(*call.packed())
            except Exception as error:
                if not is_missing_script(error):
                    raise
            return client.execute_command(*call.packed_with_source())
