"""Queues whose jobs are in SQS, in the place of those whose jobs are in Redis.

They take jobs and count them. What else a queue can do needs Redis, and is refused by name.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, ClassVar

from oxcart import sync
from oxcart._model.job import JobCounts, JobSpec
from oxcart._model.json import JsonValue
from oxcart._model.states import JobState
from oxcart._model.watching import QueueFigures
from oxcart._store.group_commit import LoopCommits
from oxcart.job import Job
from oxcart.queue import Queue
from oxcart.sqs.client import BATCH
from oxcart.sqs.end import Found, Lookup, SqsEnd, added
from oxcart.sqs.outgoing import Outgoing
from oxcart.sqs.sender import Sent
from oxcart.sqs.stores import NoStore, NoSyncStore


class SqsQueue(Queue):
    """A queue whose jobs are in SQS.

    Args:
        end: where jobs are sent.
        lookup: finds jobs by their ids, where somebody keeps account of them.
    """

    broker: ClassVar[str] = "sqs"

    def __init__(self, end: SqsEnd, lookup: Lookup | None = None) -> None:
        super().__init__(end.address.queue, prefix=end.prefix, store=NoStore())
        self._end = end
        self._lookup = lookup
        self._joined = _Joined(end)

    async def add_spec(self, spec: JobSpec) -> Job[JsonValue]:
        """Send a job; those of concurrent callers go out together.

        Raises:
            NotInSqs: it has an option that SQS cannot hold.
            PayloadError: JSON or SQS cannot hold its data.
            StoreUnavailable: SQS cannot be reached; whether the job was sent is not known if the
                connection broke.
        """
        outgoing = self._end.prepare(spec)
        error = await self._joined.submit(outgoing)
        if error is not None:
            raise error
        return self._job_of(spec, added(outgoing))

    async def add_many(self, specs: Sequence[JobSpec]) -> list[Job[JsonValue]]:
        """Send jobs, ten a call, in order; all are checked before the first is sent.

        Raises:
            NotInSqs, PayloadError: as ``add_spec``; none was sent.
            NotAllSent: SQS took some and not the others.
            StoreUnavailable: as ``add_spec``.
        """
        outgoing = [self._end.prepare(spec) for spec in specs]
        results = await asyncio.to_thread(self._end.send, outgoing)
        self._end.check(results)
        return [self._job_of(spec, added(job)) for spec, job in zip(specs, outgoing, strict=True)]

    async def get_counts(self) -> JobCounts:
        """About how many jobs are in each state, as far as SQS knows; see ``SqsEnd.counts``."""
        return await asyncio.to_thread(self._end.counts)

    async def get_figures(self) -> QueueFigures:
        """About how many jobs are in each state, as far as SQS knows; see ``SqsEnd.figures``."""
        return await asyncio.to_thread(self._end.figures)

    async def get_job(self, job_id: str) -> Job[Any] | None:
        """Find a job where somebody keeps account of this queue's jobs; SQS cannot."""
        found = await self._find(job_id)
        return None if found is None else self._bind(found.record)

    async def get_state(self, job_id: str) -> JobState:
        """The state of a job, as ``get_job``."""
        found = await self._find(job_id)
        return JobState.UNKNOWN if found is None else found.state

    async def is_paused(self) -> bool:
        """Whether the queue is paused: SQS has no such thing."""
        return False

    async def _find(self, job_id: str) -> Found | None:
        return None if self._lookup is None else await self._lookup(job_id)


class SyncSqsQueue(sync.Queue):
    """The blocking twin of ``SqsQueue``."""

    broker: ClassVar[str] = "sqs"

    def __init__(self, end: SqsEnd) -> None:
        super().__init__(end.address.queue, prefix=end.prefix, store=NoSyncStore())
        self._end = end

    def add_spec(self, spec: JobSpec) -> sync.Job[JsonValue]:
        """Send a job; see ``SqsQueue.add_spec``."""
        return self.add_many([spec])[0]

    def add_many(self, specs: Sequence[JobSpec]) -> list[sync.Job[JsonValue]]:
        """Send jobs; see ``SqsQueue.add_many``."""
        outgoing = [self._end.prepare(spec) for spec in specs]
        self._end.check(self._end.send(outgoing))
        return [self._job_of(spec, added(job)) for spec, job in zip(specs, outgoing, strict=True)]

    def get_counts(self) -> JobCounts:
        """About how many jobs are in each state; see ``SqsQueue.get_counts``."""
        return self._end.counts()

    def get_figures(self) -> QueueFigures:
        """About how many jobs are in each state; see ``SqsQueue.get_figures``."""
        return self._end.figures()


class _Joined(LoopCommits[Outgoing, Sent]):
    """Sends single jobs, those of an event loop's concurrent callers in one call."""

    def __init__(self, end: SqsEnd) -> None:
        super().__init__(self._send_once, limit=BATCH)
        self._end = end
        self._under_way: dict[str, asyncio.Future[list[Sent]]] = {}

    async def _send_once(self, key: str, jobs: Sequence[Outgoing]) -> list[Sent]:
        # A caller that is cancelled leaves its thread sending: whoever goes on waits for the same
        # call, for a second one would send everybody's jobs twice.
        sending = self._under_way.get(key)
        if sending is None:
            loop = asyncio.get_running_loop()
            sending = loop.run_in_executor(None, self._end.send, list(jobs))
            self._under_way[key] = sending
            sending.add_done_callback(lambda _: self._under_way.pop(key, None))
        return await asyncio.shield(sending)
