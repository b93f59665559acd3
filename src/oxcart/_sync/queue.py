# Generated from src/oxcart/queue.py by scripts/generate-sync: change that one.
"""A queue: where jobs are added, looked at and moved."""

from __future__ import annotations

from os import PathLike
from typing import Self

from oxcart._engine.environment import prefix_or_default
from oxcart._engine.locating import locate
from oxcart._model.clock import Clock, ServerClock
from oxcart._store.connection import Timeouts
from oxcart._store.sync_store import SyncStore
from oxcart._sync.adding import QueueAdds
from oxcart._sync.children import QueueChildren
from oxcart._sync.closing import Closing
from oxcart._sync.limits import QueueLimits
from oxcart._sync.moves import QueueMoves
from oxcart._sync.reads import QueueReads
from oxcart._sync.schedulers import QueueSchedulers
from oxcart._sync.watching import QueueWatching
from oxcart._wire.keys import QueueKeys


class Queue(
    Closing,
    QueueAdds,
    QueueReads,
    QueueMoves,
    QueueChildren,
    QueueLimits,
    QueueSchedulers,
    QueueWatching,
):
    """A queue of jobs in Redis or Valkey, in the layout that BullMQ uses.

    It blocks, and may be shared by threads.

    Connections are opened when they are first needed. Every call raises ``StoreUnavailable`` when
    the server cannot be reached.

    Args:
        name: the queue's name, without ``:``.
        redis_url: the server; without it ``REDIS_URL``, and without that a private Valkey that is
            started in ``data_dir``; production (``OXCART_ENV``) refuses that.
        prefix: what all keys start with, as BullMQ's; without it ``OXCART_PREFIX``, else ``bull``.
        data_dir: folder of the private Valkey; else ``OXCART_DATA_DIR``, else ``.oxcart``.
        timeouts: how long to wait for the server.
        clock: tells the time instead of the server, for tests.
        events_length: how many events the queue's stream keeps, about; default 10,000.
        store: an open store to share instead of ``redis_url``.
    """

    def __init__(
        self,
        name: str,
        *,
        redis_url: str | None = None,
        prefix: str | None = None,
        data_dir: str | PathLike[str] | None = None,
        timeouts: Timeouts | None = None,
        clock: Clock | None = None,
        events_length: int | None = None,
        store: SyncStore | None = None,
    ) -> None:
        self._owns_store = store is None
        super().__init__(
            store or SyncStore(locate(redis_url, data_dir), timeouts=timeouts),
            QueueKeys(prefix_or_default(prefix), name),
            clock or ServerClock(),
            events_length=events_length,
        )

    def close(self) -> None:
        """Close the queue's own connections; what uses it afterwards raises ``ConfigError``.

        Entering it as a context manager opens it again, as often as one likes. One for asyncio is
        closed for the running event loop alone.
        """
        if self._owns_store:
            self._store.end(f"queue {self.name!r}")

    def __enter__(self) -> Self:
        """Return the same; open again if it was closed."""
        if self._owns_store:
            self._store.begin()
        return self

    def __repr__(self) -> str:
        """Show the queue's name."""
        return f"Queue({self.name!r})"
