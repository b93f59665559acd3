"""What one process' worker holds, as another process can find it, keep it and give it back.

The tokens of a worker's locks begin with an id of its own. Whoever knows that id finds the jobs
that it holds in the server itself, down to the last one taken, without being told of any job.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, field
from typing import Protocol

from oxcart._engine.lock_keeper import MARGIN
from oxcart._store.calls.holding import recover_held, renew_held
from oxcart._store.store import Store
from oxcart._wire.keys import QueueKeys
from oxcart.errors import ScriptFailed

log = logging.getLogger("oxcart.stalled")


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
    """Another process that looks after the jobs of this one."""

    def begin(self, claim: Claim) -> None:
        """A worker begins to take jobs."""

    def kept_until(self, expires_at: float) -> float:
        """Until when the guardian keeps a lock of the worker, in monotonic seconds.

        Args:
            expires_at: until when the worker itself had renewed it; what had run out before the
                guardian came is kept by nobody.
        """


class Nobody:
    """The guardian of a process that has none."""

    def begin(self, claim: Claim) -> None:
        """Do nothing."""

    def kept_until(self, _: float) -> float:
        """Never."""
        return 0.0


async def give_back(store: Store, claim: Claim) -> int:
    """Give back all that a worker held whose process has died; a call a queue.

    Returns:
        How many jobs were given back.

    Raises:
        StoreUnavailable: the server cannot be reached; some queues may be done.
    """
    count = 0
    for queue in claim.queues:
        keys = QueueKeys(claim.prefix, queue)
        call = recover_held(keys, claim.holder, max_stalled=claim.max_stalled)
        try:
            recovered = await store.run(call)
        except ScriptFailed as error:  # something in this queue is not what it should be
            log.warning("stalled.check_failed queue=%s: %s", queue, error)
            continue
        for job_id in recovered:
            log.warning("stalled.recovered queue=%s job_id=%s", queue, job_id)
        count += len(recovered)
    return count


async def renew(store: Store, claim: Claim) -> float:
    """Renew the locks of a worker that cannot do so just now; a call a queue.

    Returns:
        Until when all of them are kept, in monotonic seconds.

    Raises:
        StoreError: the server cannot be reached or refused; some queues may be done.
    """
    started_at = time.monotonic()
    for queue in claim.queues:
        keys = QueueKeys(claim.prefix, queue)
        await store.run(renew_held(keys, claim.holder, lock_ms=claim.lock_ms))
    return started_at + claim.lock_ms / 1_000 * (1 - MARGIN)
