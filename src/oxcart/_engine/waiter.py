"""Waiting for work on the queue's marker (wire format, section 5)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress

from oxcart._engine.reconnect import Reconnect, log_reconnected
from oxcart._store.blocking import BlockingConnection
from oxcart._store.store import Store
from oxcart._wire.keys import QueueKeys
from oxcart.errors import StoreError, StoreTimeout

log = logging.getLogger("oxcart.worker")


class Waiter:
    """Blocks on the marker while it is armed, and says when there may be work.

    A marker is a hint and no more: when the block's time is over, or the connection broke, the
    worker looks for work all the same.

    Args:
        store: the server; the wait has a connection of its own.
        keys: the queue.
        worker_name: what the connection is called, so that dashboards count the worker.
        block_s: the longest block.
        on_error: called with the error of a connection that was lost.
    """

    def __init__(
        self,
        store: Store,
        keys: QueueKeys,
        *,
        worker_name: str,
        block_s: float,
        on_error: Callable[[BaseException], None] = lambda _: None,
    ) -> None:
        self._on_error = on_error
        self._store = store
        self._keys = keys
        self._name = keys.worker_connection_name(worker_name)
        self._block_s = block_s
        self._on_work: Callable[[], None] = lambda: None
        self._on_due: Callable[[float], None] = lambda _: None
        self._armed = asyncio.Event()

    def connect(self, *, on_work: Callable[[], None], on_due: Callable[[float], None]) -> None:
        """Say whom to tell.

        Args:
            on_work: called when there may be work.
            on_due: called with the server's ms at which the next delayed job is due.
        """
        self._on_work = on_work
        self._on_due = on_due

    def arm(self) -> None:
        """Wait for the next marker; does nothing while it waits already."""
        self._armed.set()

    async def run(self) -> None:
        """Wait whenever it is armed, until cancelled."""
        url = await self._store.location.aurl()
        connection = BlockingConnection(
            url, self._store.timeouts, longest_block_s=self._block_s, name=self._name
        )
        reconnect = Reconnect()
        try:
            # A worker that is never idle is to be seen by dashboards too.
            with suppress(StoreError):
                await connection.connect(self._keys.marker)
            while True:
                await self._armed.wait()
                await self._wait_once(connection, reconnect)
        finally:
            await connection.aclose()

    async def _wait_once(self, connection: BlockingConnection, reconnect: Reconnect) -> None:
        try:
            score = await connection.pop_marker(self._keys.marker, self._block_s)
        except StoreError as error:
            if reconnect.is_first:
                log.warning("worker.disconnected queue=%s: %s", self._keys.queue, error)
                self._on_error(error)
            if isinstance(error, StoreTimeout):
                await self._store.drop_idle()
            await reconnect.wait()
            score = None
        else:
            log_reconnected(self._keys.queue, reconnect.reset())
        if score:
            self._on_due(score)  # and wait on: a job that is added must still wake the worker
        else:
            self._armed.clear()
            self._on_work()
