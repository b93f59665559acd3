"""Renewing the locks of all running jobs of a process, from a thread of its own.

A thread, because work that blocks the event loop must not make the loop's other jobs look stalled.
It also looks once a second whether somebody asked to cancel a job that runs here.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field

from oxcart._engine.hold import Hold
from oxcart._engine.registrar import Registrar
from oxcart._engine.transfer import Transfer
from oxcart._store.calls import holding
from oxcart._store.connection import Timeouts
from oxcart._store.location import Location
from oxcart._store.sync_store import SyncStore
from oxcart._wire.keys import QueueKeys
from oxcart.errors import StoreError

log = logging.getLogger("oxcart.locks")

RETRY_S = 0.5
"""How soon a renewal that failed is tried again."""
CANCEL_CHECK_S = 1.0
"""How often it is looked whether running jobs are to be cancelled; only while some run."""
LONG_TRANSFER = 1 / 6
"""Share of the lock's time after which the locks of a step without a reply are renewed too."""
LEAVE_TIMEOUTS = Timeouts(connect="500ms", command="1s")
"""How long a worker that stops waits for the server to take it out of the registry."""
MARGIN = 0.1
"""Share of the lock's time that is left when a job is given up: time enough to cancel it."""


@dataclass(slots=True)
class _QueueHolds:
    keys: QueueKeys
    holds: set[Hold] = field(default_factory=set)


class LockKeeper:
    """Renews locks at a third of their time and gives up jobs whose lock it could not renew.

    Args:
        location: where the server is.
        timeouts: how long to wait for it.
        lock_ms: how long a lock lasts from each renewal.
        kept_until: until when somebody else keeps a lock that we kept until a time, both in
            monotonic seconds.
        registrar: sends heartbeats and recovers the jobs of dead workers, from the same thread.
    """

    def __init__(
        self,
        location: Location,
        timeouts: Timeouts,
        *,
        lock_ms: int,
        kept_until: Callable[[float], float] = lambda _: 0.0,
        registrar: Registrar | None = None,
    ) -> None:
        # A reply must not be waited for until the locks are gone.
        patience = Timeouts(connect=timeouts.connect, command=f"{max(50, lock_ms // 6)}ms")
        self._store = SyncStore(location, timeouts=patience)
        self._location = location
        self._lock_ms = lock_ms
        self.kept_until = kept_until
        self._registrar = registrar
        self._queues: dict[str, _QueueHolds] = {}
        self._transfers: list[Transfer] = []
        self._guard = threading.Lock()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="oxcart-locks", daemon=True)

    @property
    def lock_ms(self) -> int:
        """How long a lock lasts from each renewal."""
        return self._lock_ms

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Stop the thread and close its connection. Locks still held run out by themselves."""
        self._stopping.set()
        self._thread.join()
        if self._registrar is not None:
            with closing(SyncStore(self._location, timeouts=LEAVE_TIMEOUTS)) as store:
                self._registrar.leave(store)
        self._store.close()

    def keep(self, keys: QueueKeys, holds: Collection[Hold]) -> None:
        """Renew locks until they are released."""
        with self._guard:
            self._queues.setdefault(keys.base, _QueueHolds(keys)).holds.update(holds)

    def release(self, keys: QueueKeys, holds: Collection[Hold]) -> None:
        """Stop renewing locks."""
        with self._guard:
            held = self._queues.get(keys.base)
            if held is not None:
                held.holds.difference_update(holds)

    @contextmanager
    def watching(self, transfer: Transfer) -> Iterator[None]:
        """Renew the locks of jobs that a lane's steps have taken and whose reply is under way."""
        with self._guard:
            self._transfers.append(transfer)
        try:
            yield
        finally:
            with self._guard:
                self._transfers.remove(transfer)

    def expiry_from(self, started_at: float) -> float:
        """When a lock taken or renewed by a call sent at ``started_at`` must be given up."""
        return started_at + self._lock_ms / 1_000 * (1 - MARGIN)

    def _run(self) -> None:
        renew_s = self._lock_ms / 3_000
        now = time.monotonic()
        renew_at, look_at = now + renew_s, now + CANCEL_CHECK_S
        beat_at = math.inf if self._registrar is None else now
        while not self._stopping.wait(max(0.0, min(renew_at, look_at, beat_at) - time.monotonic())):
            now = time.monotonic()
            if now >= renew_at:
                renewed = [self._renew(held) for held in self._snapshot()]
                renewed += [self._renew_transfer(transfer) for transfer in self._watched()]
                self._give_up_expired()
                if not all(renewed):
                    # First the locks: what else is asked would only be waited for.
                    renew_at = now + min(RETRY_S, self._lock_ms / 10_000)
                    continue
                renew_at = now + renew_s
            if now >= look_at:
                self._cancel_requested()
                look_at = now + CANCEL_CHECK_S
            if self._registrar is not None and now >= beat_at:
                self._registrar.beat(self._store)
                beat_at = now + self._registrar.beat_s

    def _cancel_requested(self) -> None:
        """Tell the jobs of this process that somebody asked to cancel."""
        for held in self._snapshot():
            if not held.holds:
                continue
            # Of two holds on one job the later one counts: the other is about to be given up.
            in_order = sorted(held.holds, key=lambda hold: hold.expires_at)
            by_id = {hold.job_id: hold for hold in in_order}
            pairs = [(hold.job_id, hold.token) for hold in by_id.values()]
            try:
                reasons = self._store.run(holding.take_cancel_requests(held.keys, pairs))
            except StoreError as error:
                log.debug("locks.cancel_requests_not_read queue=%s: %s", held.keys.queue, error)
                continue
            for job_id, reason in reasons.items():
                by_id[job_id].on_cancel(by_id[job_id], reason)

    def _snapshot(self) -> list[_QueueHolds]:
        with self._guard:
            return [_QueueHolds(held.keys, set(held.holds)) for held in self._queues.values()]

    def _renew(self, held: _QueueHolds) -> bool:
        if not held.holds:
            return True
        started_at = time.monotonic()
        pairs = [(hold.job_id, hold.token) for hold in held.holds]
        try:
            call = holding.extend_locks(held.keys, pairs, lock_ms=self._lock_ms)
            lost: list[str] = self._store.run(call)
        except StoreError as error:
            log.warning(
                "locks.not_renewed queue=%s jobs=%d: %s", held.keys.queue, len(pairs), error
            )
            return False
        for hold in held.holds:
            if hold.job_id in lost:
                self._give_up(hold)
            else:
                hold.expires_at = self.expiry_from(started_at)
        return True

    def _watched(self) -> list[Transfer]:
        with self._guard:
            return list(self._transfers)

    def _renew_transfer(self, transfer: Transfer) -> bool:
        pending, started_at = transfer.pending, time.monotonic()
        if pending is None or started_at - pending[1] < self._lock_ms / 1_000 * LONG_TRANSFER:
            return True
        sequence = pending[0]
        call = holding.renew_step(
            transfer.keys, transfer.worker_id, sequence=sequence, lock_ms=self._lock_ms
        )
        try:
            is_remembered = self._store.run(call) >= 0
        except StoreError as error:
            # The step itself is not answered either, and that is logged.
            log.debug("locks.step_not_renewed queue=%s: %s", transfer.keys.queue, error)
            return False
        if is_remembered:
            transfer.renewed = (sequence, started_at)
        return True

    def _give_up_expired(self) -> None:
        now = time.monotonic()
        for held in self._snapshot():
            for hold in held.holds:
                if now >= hold.expires_at and now >= self.kept_until(hold.expires_at):
                    self._give_up(hold)

    def _give_up(self, hold: Hold) -> None:
        with self._guard:
            is_ours = any(hold in held.holds for held in self._queues.values())
        if is_ours and not hold.is_lost:
            hold.is_lost = True
            hold.on_lost(hold)
