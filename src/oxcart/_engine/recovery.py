"""Recovering the jobs of one worker whose process has died.

The tokens of a worker's locks begin with an id of its own, its *holder* id. So its jobs are found
in the server itself, down to the last one taken. Each procedure here is a generator of calls: the
lock keeper's thread sends them over a blocking connection, the supervisor over an asyncio one.
"""

from __future__ import annotations

import logging
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from oxcart._store.call import Call
from oxcart._store.calls import holding, registry
from oxcart._store.calls.holding import Ran
from oxcart._store.store import Store
from oxcart._store.sync_store import SyncStore
from oxcart._wire.keys import QueueKeys
from oxcart.errors import ScriptFailed, StoreError

log = logging.getLogger("oxcart.stalled")

T = TypeVar("T")
Procedure = Generator[Call[Any], Any, T]

LOOK_COUNT = 1_000
"""How many active jobs one call looks through."""
OVERLAP = 100
"""Jobs may leave the list between two calls, which moves the others towards its end."""
BATCH = 100
"""How many jobs one call gives back."""
DIED_ALONE = "job stalled more than allowable limit: the process that ran it alone died %d times"
"""The reason of a job that is failed because it killed its process."""


@dataclass(frozen=True, slots=True)
class HeldJob:
    """A job that a dead worker held.

    Attributes:
        queue: its queue.
        id: the job.
        token: the lock's token.
    """

    queue: str
    id: str
    token: str


def find_all_held(prefix: str, queues: Sequence[str], holder: str) -> Procedure[list[HeldJob]]:
    """Find all jobs that a worker holds, in portions.

    A queue with a key of a wrong type is logged and left out.
    """
    found: dict[HeldJob, None] = {}
    for queue in queues:
        keys, offset = QueueKeys(prefix, queue), 0
        while True:
            try:
                looked, holds = yield holding.find_held(
                    keys, holder, offset=offset, count=LOOK_COUNT
                )
            except ScriptFailed as error:
                log.warning("stalled.check_failed queue=%s: %s", queue, error)
                break
            found |= {HeldJob(queue, job_id, token): None for job_id, token in holds}
            if looked < LOOK_COUNT:
                break
            offset += looked - OVERLAP
    return list(found)


def recover_worker(
    prefix: str, queues: Sequence[str], holder: str, *, max_stalled: int
) -> Procedure[int]:
    """Give back all that a dead worker held, and remove it from the registry.

    Only a job that was the only one counts a recovery towards its limit.

    Returns:
        How many jobs were given back.
    """
    held = yield from find_all_held(prefix, queues, holder)
    how: Ran = "alone" if len(held) == 1 else "beside"
    count = yield from give_back(prefix, held, max_stalled=max_stalled, how=how, reason=DIED_ALONE)
    for queue in queues:
        yield registry.remove_worker(QueueKeys(prefix, queue), holder)
    return count


def give_back(
    prefix: str, held: Sequence[HeldJob], *, max_stalled: int, how: Ran, reason: str = ""
) -> Procedure[int]:
    """Give jobs of a dead worker back to their queues; returns how many were."""
    count = 0
    for queue, holds in _batches(held):
        try:
            recovered = yield holding.recover_held(
                QueueKeys(prefix, queue), holds, max_stalled=max_stalled, how=how, reason=reason
            )
        except ScriptFailed as error:  # a key of this queue has a wrong type
            log.warning("stalled.check_failed queue=%s: %s", queue, error)
            continue
        for job_id in recovered:
            log.warning("stalled.recovered queue=%s job_id=%s ran=%s", queue, job_id, how)
        count += len(recovered)
    return count


def adopt(
    prefix: str,
    held: Sequence[HeldJob],
    *,
    token: str,
    lock_ms: int,
    max_stalled: int,
    how: Ran,
) -> Procedure[list[HeldJob]]:
    """Hand the jobs of a dead worker to its supervisor; returns those that were.

    The others were finished or taken over meanwhile, or have died alone too often: these are failed
    by the next worker.
    """
    adopted: list[HeldJob] = []
    for queue, holds in _batches(held):
        try:
            ids = yield holding.adopt_held(
                QueueKeys(prefix, queue), holds, token=token, lock_ms=lock_ms,
                max_stalled=max_stalled, how=how, reason=DIED_ALONE,
            )  # fmt: skip
        except ScriptFailed as error:
            log.warning("stalled.check_failed queue=%s: %s", queue, error)
            continue
        for job_id in ids:
            log.warning("stalled.recovered queue=%s job_id=%s ran=%s", queue, job_id, how)
        adopted += [HeldJob(queue, job_id, token) for job_id in ids]
    return adopted


async def run(store: Store, procedure: Procedure[T]) -> T:
    """Send a procedure's calls over asyncio.

    Raises:
        StoreUnavailable: the server cannot be reached; some calls may have taken effect.
    """
    reply: Any = None
    failure: StoreError | None = None
    while True:
        try:
            call = procedure.throw(failure) if failure else procedure.send(reply)
        except StopIteration as end:
            result: T = end.value
            return result
        failure = None
        try:
            reply = await store.run(call)
        except StoreError as error:
            failure = error


def run_sync(store: SyncStore, procedure: Procedure[T]) -> T:
    """Send a procedure's calls from a thread; see ``run``."""
    reply: Any = None
    failure: StoreError | None = None
    while True:
        try:
            call = procedure.throw(failure) if failure else procedure.send(reply)
        except StopIteration as end:
            result: T = end.value
            return result
        failure = None
        try:
            reply = store.run(call)
        except StoreError as error:
            failure = error


def _batches(held: Sequence[HeldJob]) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    by_queue: dict[str, list[tuple[str, str]]] = {}
    for job in held:
        by_queue.setdefault(job.queue, []).append((job.id, job.token))
    for queue, pairs in by_queue.items():
        for first in range(0, len(pairs), BATCH):
            yield queue, pairs[first : first + BATCH]
