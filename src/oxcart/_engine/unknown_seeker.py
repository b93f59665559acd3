"""Looking for jobs that other workers put back and this one can run."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection
from random import random as _random

from oxcart._model.unknown import SeenBy
from oxcart._store.calls.unknown import promote_known
from oxcart._store.store import Store
from oxcart._wire.keys import QueueKeys
from oxcart.errors import StoreError

LOOK_S = 5.0
"""How often a worker looks while it finds nothing: one call that reads one empty key."""
FOUND_LOOK_S = 1.0
"""How soon it looks again after it found some."""
FULL_LOOK_S = 0.1
"""How soon after it found as many as it runs at a time."""
JITTER = 0.2

log = logging.getLogger("oxcart.worker")


class UnknownSeeker:
    """Makes jobs ready that were put back by workers that do not know them.

    Without it a job would come back when its delay is over, to whichever worker is first: in a
    fleet of which few know the job, that would be the wrong one many times over.

    Args:
        store: the server.
        keys: the queue.
        names: the job names that the worker has handlers for; ``None``: any.
        worker: the worker.
        count: how many jobs it runs at a time.
        on_found: makes the worker take what was found.
        random: gives a number in [0, 1), so that the workers of a fleet do not look all at once.
    """

    def __init__(
        self,
        store: Store,
        keys: QueueKeys,
        names: Collection[str] | None,
        *,
        worker: SeenBy,
        count: int,
        on_found: Callable[[], object],
        random: Callable[[], float] = _random,
    ) -> None:
        self._store = store
        self._keys = keys
        self._call = promote_known(keys, names, worker=worker, count=count)
        self._count = count
        self._on_found = on_found
        self._random = random

    async def run(self) -> None:
        """Look until cancelled. A look that fails is left to the next one."""
        while True:
            wait_s = await self._look()
            await asyncio.sleep(wait_s * (1 - JITTER * self._random()))

    async def _look(self) -> float:
        """Look once; gives how many seconds to wait before the next time."""
        try:
            found = await self._store.run(self._call)
        except StoreError as error:
            log.debug("worker.jobs_not_sought queue=%s: %s", self._keys.queue, error)
            return LOOK_S
        if not found:
            return LOOK_S
        log.debug("worker.jobs_promoted queue=%s count=%d", self._keys.queue, found)
        self._on_found()
        return FULL_LOOK_S if found >= self._count else FOUND_LOOK_S
