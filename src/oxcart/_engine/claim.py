"""What one worker process holds, as its supervisor finds it, keeps it and recovers it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from oxcart._engine import recovery
from oxcart._engine.lock_keeper import MARGIN
from oxcart._model.clock import ServerClock
from oxcart._model.registry import ProcessInfo
from oxcart._store.calls import holding, registry
from oxcart._store.store import Store
from oxcart._wire.keys import QueueKeys


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """How to find the jobs that a worker holds.

    Attributes:
        url: the server; it may hold a password.
        prefix: what all keys start with.
        queues: the queues that it serves.
        holder: what the tokens of its locks begin with.
        lock_ms: how long its locks last from each renewal.
        max_stalled: how often a job may be recovered before it is failed.
    """

    url: str = field(repr=False)
    prefix: str
    queues: tuple[str, ...]
    holder: str
    lock_ms: int
    max_stalled: int


class Guardian(Protocol):
    """The supervisor of this process, as its worker uses it."""

    @property
    def process(self) -> ProcessInfo | None:
        """The supervisor's process; ``None`` without one."""

    runs_assigned: bool
    """Whether this process runs nothing but the jobs that the supervisor assigns."""

    def begin(self, claim: Claim) -> None:
        """Report that a worker begins to take jobs."""

    def connect(self, assign: Callable[[str, str, str], object]) -> None:
        """Call back with queue, id and lock token of each job that the supervisor assigns."""

    def settled(self, queue: str, job_id: str) -> None:
        """Report that an assigned job has ended."""

    def hand_over(self, queue: str, job_id: str, token: str) -> bool:
        """Hand a job over that must be run alone; false if it has to be run here."""

    def kept_until(self, expires_at: float) -> float:
        """Until when the supervisor keeps a lock of the worker, in monotonic seconds.

        Args:
            expires_at: until when the worker itself had renewed it; a lock that had run out before
                the supervisor renewed it is not kept.
        """


class Nobody:
    """The guardian of a process without a supervisor."""

    process: ProcessInfo | None = None
    runs_assigned = False

    def connect(self, _: Callable[[str, str, str], object]) -> None:
        """Do nothing: no job is assigned."""

    def settled(self, _queue: str, _job_id: str) -> None:
        """Do nothing."""

    def begin(self, claim: Claim) -> None:
        """Do nothing."""

    def hand_over(self, _queue: str, _job_id: str, _token: str) -> bool:
        """Refuse: the job is run here."""
        return False

    def kept_until(self, _: float) -> float:
        """Never."""
        return 0.0


async def renew(store: Store, claim: Claim) -> float:
    """Renew the locks of a worker that cannot do so itself, and send its heartbeat.

    Returns:
        Until when all of them are kept, in monotonic seconds.

    Raises:
        StoreError: the server cannot be reached or refused; some queues may be done.
    """
    started_at = time.monotonic()
    held = await recovery.run(
        store, recovery.find_all_held(claim.prefix, claim.queues, claim.holder)
    )
    for queue in claim.queues:
        keys = QueueKeys(claim.prefix, queue)
        pairs = [(job.id, job.token) for job in held if job.queue == queue]
        if pairs:
            await store.run(holding.extend_locks(keys, pairs, lock_ms=claim.lock_ms))
        await store.run(registry.beat_for(keys, claim.holder, clock=ServerClock()))
    return started_at + claim.lock_ms / 1_000 * (1 - MARGIN)
