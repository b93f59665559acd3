"""Running calls from blocking code: the only place where it talks to the server."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, TypeVar

from oxcart._store.call import Call
from oxcart._store.connection import Timeouts, sync_client
from oxcart._store.location import Location
from oxcart._store.translate import is_missing_script, translated
from oxcart.errors import StoreTimeout, StoreUnavailable

if TYPE_CHECKING:
    from redis import Redis

T = TypeVar("T")


class SyncStore:
    """A server, reached from any thread.

    Args:
        location: where the server is.
        timeouts: how long to wait for the server.
    """

    def __init__(self, location: Location, *, timeouts: Timeouts | None = None) -> None:
        self._location = location
        self._timeouts = timeouts or Timeouts()
        self._client: Redis | None = None
        self._making = threading.Lock()

    def run(self, call: Call[T]) -> T:
        """Send one call and read its reply; see ``Store.run``."""
        try:
            return call.read(self._send(call))
        except StoreUnavailable as error:
            if isinstance(error, StoreTimeout) or not call.is_repeatable:
                raise
            self._location.restore()
            return call.read(self._send(call))

    def close(self) -> None:
        """Close the connections."""
        with self._making:
            client, self._client = self._client, None
        if client is not None:
            client.close()

    def _send(self, call: Call[Any]) -> Any:
        with self._making:
            if self._client is None:
                self._client = sync_client(self._location.url(), self._timeouts)
            client = self._client
        with translated(call.name):
            try:
                return client.execute_command(*call.packed())
            except Exception as error:
                if not is_missing_script(error):
                    raise
            return client.execute_command(*call.packed_with_source())
