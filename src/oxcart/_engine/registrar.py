"""Registering a worker process with its queues, and recovering the jobs of dead ones.

It runs in the lock keeper's thread, so that a blocked event loop neither silences the heartbeat nor
delays the recovery.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from oxcart._engine import processes, recovery
from oxcart._engine.handler import Handlers
from oxcart._engine.pauses import WorkerPauses
from oxcart._model.clock import Clock
from oxcart._model.registry import ProcessInfo, RegisteredWorker, WorkerRecord
from oxcart._store.calls import registry
from oxcart._store.sync_store import SyncStore
from oxcart._version import __version__
from oxcart._wire.keys import QueueKeys
from oxcart.errors import StoreError

if TYPE_CHECKING:
    from oxcart._engine.claim import Claim  # which knows the lock keeper, and that this module

log = logging.getLogger("oxcart.stalled")

STEADY_BEATS = 2
"""The last heartbeat was so few intervals ago: then those of others could be sent as well."""


class Registrar:
    """Sends the heartbeats of a worker process and recovers the jobs of workers that died.

    Args:
        prefix: what all keys start with.
        records: the process' record for each of its queues.
        clock: the time instead of the server's.
        pauses: the queues from which the worker takes no jobs for now.
    """

    def __init__(
        self,
        prefix: str,
        records: Sequence[WorkerRecord],
        clock: Clock,
        pauses: WorkerPauses | None = None,
    ) -> None:
        self._pauses = pauses or WorkerPauses()
        self._records = [
            (QueueKeys(prefix, record.queues[at]), record) for at, record in enumerate(records)
        ]
        self._prefix = prefix
        self._clock = clock
        self._here = processes.this_process()
        self._beaten_at = -math.inf
        self.beat_s = min(record.beat_s for record in records)
        """How often to send a heartbeat."""

    def beat(self, store: SyncStore) -> None:
        """Send a heartbeat to each queue, and recover the jobs of dead workers that it reveals.

        A server that cannot be reached is left to the next heartbeat.
        """
        # After a time without heartbeats of its own, as when the server stood still, the age of
        # those of others says nothing yet.
        is_steady = time.monotonic() - self._beaten_at < STEADY_BEATS * self.beat_s
        try:
            missing = store.run_all(
                [
                    registry.beat(
                        keys,
                        self._pauses.noted_in(record, keys.queue),
                        clock=self._clock,
                        missed_ms=record.missed_ms,
                    )
                    for keys, record in self._records
                ]
            )
            self._beaten_at = time.monotonic()
            seen = {other.record.holder: other for others in missing for other in others}
            for other in seen.values():
                if self._is_dead(other, is_steady=is_steady):
                    self._recover(store, other.record)
        except StoreError as error:
            log.debug("worker.heartbeat_failed: %s", error)

    def leave(self, store: SyncStore) -> None:
        """Take the process out of the registry."""
        try:
            store.run_all(
                [registry.remove_worker(keys, record.holder) for keys, record in self._records]
            )
        except StoreError as error:
            log.debug("worker.not_deregistered: %s", error)

    def _is_dead(self, other: RegisteredWorker, *, is_steady: bool) -> bool:
        record, age_ms = other.record, other.beat_age_ms
        is_supervised = record.supervisor is not None and processes.is_running(record.supervisor)
        if is_supervised and other.is_alive:
            return False  # its supervisor recovers its jobs
        is_running = processes.is_running(record.process)
        if is_running is None and not is_steady:
            return False
        return record.is_dead(age_ms, here=self._here, is_running=is_running)

    def _recover(self, store: SyncStore, record: WorkerRecord) -> None:
        procedure = recovery.recover_worker(
            self._prefix, record.queues, record.holder, max_stalled=record.max_stalled
        )
        count = recovery.run_sync(store, procedure)
        log.warning(
            "worker.found_dead name=%s host=%s pid=%d jobs=%d",
            record.name, record.process.host, record.process.pid, count,
        )  # fmt: skip


def records_of(
    claim: Claim,
    *,
    name: str,
    supervisor: ProcessInfo | None,
    handlers: Mapping[str, Handlers],
    concurrency: Mapping[str, int],
    build: str,
) -> list[WorkerRecord]:
    """What a worker process registers with each of its queues."""
    return [
        WorkerRecord(
            holder=claim.holder,
            name=name,
            process=processes.this_process(),
            supervisor=supervisor,
            queues=claim.queues,
            job_names=handlers[queue].names,
            concurrency=places,
            lock_ms=claim.lock_ms,
            max_stalled=claim.max_stalled,
            version=__version__,
            build=build,
            started_at_ms=round(time.time() * 1_000),
        )
        for queue, places in concurrency.items()
    ]
