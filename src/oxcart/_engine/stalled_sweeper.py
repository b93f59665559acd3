"""Recovering jobs that vanished workers held, for the whole fleet."""

from __future__ import annotations

import asyncio
import logging

from oxcart._model.clock import Clock
from oxcart._store.calls.holding import recover_stalled
from oxcart._store.store import Store
from oxcart._wire.keys import QueueKeys
from oxcart.errors import StoreError

log = logging.getLogger("oxcart.stalled")


class StalledSweeper:
    """Runs the stalled check once an interval (wire format, section 7.11).

    Every worker runs one; a guard in Redis lets one of them through an interval.

    Args:
        store: the server.
        keys: the queue.
        clock: what the time is.
        interval_ms: the interval.
        max_stalled: how often a job may be recovered before it is failed.
    """

    def __init__(
        self, store: Store, keys: QueueKeys, clock: Clock, *, interval_ms: int, max_stalled: int
    ) -> None:
        self._store = store
        self._keys = keys
        self._clock = clock
        self._interval_ms = interval_ms
        self._max_stalled = max_stalled

    async def run(self) -> None:
        """Check until cancelled. A check that fails is left to the next one."""
        while True:
            await asyncio.sleep(self._interval_ms / 1_000)
            await self.check()

    async def check(self) -> list[str]:
        """Run one check; gives the ids that went back to wait."""
        call = recover_stalled(
            self._keys,
            clock=self._clock,
            interval_ms=self._interval_ms,
            max_stalled=self._max_stalled,
        )
        try:
            recovered = await self._store.run(call)
        except StoreError as error:
            log.warning("stalled.check_failed queue=%s: %s", self._keys.queue, error)
            return []
        for job_id in recovered:
            log.warning("stalled.recovered queue=%s job_id=%s", self._keys.queue, job_id)
        return recovered
