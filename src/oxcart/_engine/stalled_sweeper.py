"""Recovering jobs that vanished workers held, for the whole fleet."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from oxcart._model.clock import Clock
from oxcart._model.registry import DEAD_BEATS, beat_ms
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
        lock_ms: how long the locks of the queue's workers last.
        holder: the worker, as it is registered.
        on_recovered: called with the ids that went back to wait.
        on_error: called with the error of a check that failed.
    """

    def __init__(
        self,
        store: Store,
        keys: QueueKeys,
        clock: Clock,
        *,
        interval_ms: int,
        max_stalled: int,
        lock_ms: int,
        holder: str,
        on_recovered: Callable[[list[str]], None] = lambda _: None,
        on_error: Callable[[BaseException], None] = lambda _: None,
    ) -> None:
        self._on_recovered = on_recovered
        self._on_error = on_error
        self._store = store
        self._keys = keys
        self._clock = clock
        self._interval_ms = interval_ms
        self._max_stalled = max_stalled
        self._beat_ms = beat_ms(lock_ms)
        self._holder = holder

    async def run(self) -> None:
        """Check until cancelled. A check that fails is left to the next one."""
        wait_ms: float = self._interval_ms
        while True:
            await asyncio.sleep(wait_ms / 1_000)
            is_done = await self.check() is not None
            wait_ms = self._interval_ms if is_done else min(self._beat_ms, self._interval_ms)

    async def check(self) -> list[str] | None:
        """Run one check.

        Returns:
            The ids that went back to wait; ``None`` if it is too early to check, because the server
            was away: then heartbeats are waited for.
        """
        call = recover_stalled(
            self._keys,
            clock=self._clock,
            interval_ms=self._interval_ms,
            max_stalled=self._max_stalled,
            alive_ms=round(self._beat_ms * DEAD_BEATS),
            holder=self._holder,
        )
        try:
            recovered = await self._store.run(call)
        except StoreError as error:
            log.warning("stalled.check_failed queue=%s: %s", self._keys.queue, error)
            self._on_error(error)
            return []
        for job_id in recovered or ():
            log.warning("stalled.recovered queue=%s job_id=%s", self._keys.queue, job_id)
        if recovered:
            self._on_recovered(recovered)
        return recovered
