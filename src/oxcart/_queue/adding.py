"""Adding jobs: one by one, joined with concurrent callers, or in batches."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from weakref import WeakKeyDictionary

from oxcart._model.clock import Clock
from oxcart._model.job import JobRecord, JobSpec
from oxcart._model.json import JsonValue
from oxcart._model.options import JobOptions
from oxcart._queue.base import QueueBase
from oxcart._store.calls.adding import Added, EncodedJob, add_jobs, encode_job
from oxcart._store.group_commit import GroupCommit
from oxcart._store.store import Store
from oxcart._wire.keys import QueueKeys
from oxcart._wire.options_codec import approximate_delay_ms
from oxcart.job import Job

BATCH = 1_000
"""How many jobs one atomic call adds at the most, so that it never holds the server for long."""

Commit = GroupCommit[EncodedJob, Added]


class QueueAdds(QueueBase):
    """Adding jobs to a queue."""

    def __init__(
        self, store: Store, keys: QueueKeys, clock: Clock, *, events_length: int | None = None
    ) -> None:
        super().__init__(store, keys, clock, events_length=events_length)
        self._commits: WeakKeyDictionary[asyncio.AbstractEventLoop, Commit] = WeakKeyDictionary()

    async def add(self, name: str, data: JsonValue | None = None, **options: Any) -> Job[JsonValue]:
        """Add a job.

        Concurrent calls are joined into batches: the first goes out at once, those that come
        meanwhile go out together.

        Args:
            name: which handler runs it.
            data: the payload: anything JSON can hold; nothing means ``{}``.
            **options: see ``JobOptions``.

        Returns:
            The job. With a ``job_id`` that is in the queue already, nothing is added and
            ``is_new`` is false.

        Raises:
            ConfigError: an option is wrong.
            PayloadError: JSON cannot hold the data, or it is over the size limit.
            StoreUnavailable: the server cannot be reached; whether the job was added is not known
                if the connection broke after sending.
        """
        spec = JobSpec(name=name, data={} if data is None else data, options=JobOptions(**options))
        return await self.add_spec(spec)

    async def add_spec(self, spec: JobSpec) -> Job[JsonValue]:
        """Add a job given as one value; see ``add``."""
        added = await self._commit().submit(encode_job(spec))
        return self._job_of(spec, added)

    async def add_many(self, specs: Sequence[JobSpec]) -> list[Job[JsonValue]]:
        """Add many jobs, in order.

        Up to 1,000 are added atomically in one call, then the next 1,000. All are checked before
        the first is sent.

        Returns:
            The jobs, in the same order; see ``add``.

        Raises:
            ConfigError: as ``add``.
            PayloadError: as ``add``; then none was added.
            StoreUnavailable: as ``add``; earlier batches were added.
        """
        encoded = [encode_job(spec) for spec in specs]
        added: list[Added] = []
        for start in range(0, len(encoded), BATCH):
            added += await self._send(uuid.uuid4().hex, encoded[start : start + BATCH])
        return [self._job_of(spec, result) for spec, result in zip(specs, added, strict=True)]

    async def _send(self, nonce: str, jobs: Sequence[EncodedJob]) -> list[Added]:
        return await self._write(add_jobs(self._keys, jobs, clock=self._clock, nonce=nonce))

    def _commit(self) -> Commit:
        loop = asyncio.get_running_loop()
        commit = self._commits.get(loop)
        if commit is None:
            commit = GroupCommit(self._send, new_key=lambda: uuid.uuid4().hex, limit=BATCH)
            self._commits[loop] = commit
        return commit

    def _job_of(self, spec: JobSpec, added: Added) -> Job[JsonValue]:
        return Job.of(record_of(spec, added), self._store, self._keys, is_new=added.is_new)


def record_of(spec: JobSpec, added: Added) -> JobRecord:
    """The record of a job that was just added."""
    options = spec.options
    created_at_ms = added.added_at_ms
    if options.timestamp is not None:
        created_at_ms = round(options.timestamp.timestamp() * 1_000)
    return JobRecord(
        id=added.job_id,
        name=spec.name,
        data=spec.data,
        options=replace(options, job_id=None),
        created_at_ms=created_at_ms,
        delay_ms=0 if options.delay is None else approximate_delay_ms(options.delay),
        priority=options.priority,
    )
