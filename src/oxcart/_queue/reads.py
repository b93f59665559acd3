"""Reading a queue: its jobs, their states, counts and logs."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Sequence
from typing import Any

from oxcart._engine.results import wait_for_result
from oxcart._model.duration import Duration
from oxcart._model.ids import is_readable_id
from oxcart._model.job import JobCounts, JobLogs, JobRecord
from oxcart._model.json import JsonValue
from oxcart._model.states import JobState, state_of
from oxcart._queue.base import QueueBase
from oxcart._store.calls import details, reading, switching, watching
from oxcart.job import Job

_READ_BATCH = 500
"""How many jobs one call reads at the most."""
_REFILLS = 5
"""How often a page is filled up again after jobs that vanished meanwhile."""


class QueueReads(QueueBase):
    """Reading a queue."""

    async def get_job(self, job_id: str) -> Job[Any] | None:
        """Read a job; ``None`` if there is none with this id."""
        if not is_readable_id(job_id):
            return None
        record = await self._store.run(reading.get_job(self._keys, job_id))
        return None if record is None else self._bind(record)

    async def get_state(self, job_id: str) -> JobState:
        """The state of a job; ``UNKNOWN`` if there is none with this id."""
        states = await self._store.run(reading.get_states(self._keys, [job_id]))
        return states[0]

    async def get_counts(self) -> JobCounts:
        """How many jobs are in each state. Jobs that BullMQ 5 set aside count as waiting."""
        counts = watching.counts_of(await self._store.run_all(watching.count_states(self._keys)))
        return JobCounts(**{state.name.lower(): count for state, count in counts.items()})

    async def get_counts_per_priority(self, priorities: Sequence[int]) -> dict[int, int]:
        """How many ready jobs have each of the priorities; 0 counts the waiting ones."""
        calls = [reading.count_priority(self._keys, priority) for priority in priorities]
        return dict(zip(priorities, await self._store.run_all(calls), strict=True))

    async def get_jobs(
        self, state: JobState, *, start: int = 0, end: int = 49, ascending: bool = False
    ) -> list[Job[Any]]:
        """Read a page of the jobs of a state.

        Args:
            state: which state.
            start: first position, from 0.
            end: last position, inclusive; -1 for the last there is.
            ascending: next to run first, or earliest first; else the newest first.

        Returns:
            The jobs. An id whose job vanished is passed over and the page filled up.
        """
        state = state_of(state)
        wanted = None if end == -1 else end - start + 1
        jobs: list[Job[Any]] = []
        for _ in range(_REFILLS):
            page = reading.range_of_state(
                self._keys, state, start=start, end=end, ascending=ascending
            )
            ids = await self._store.run(page)
            records = await self._read_all(ids)
            jobs += [self._bind(record) for record in records if record is not None]
            if wanted is None or len(jobs) >= wanted or not ids or None not in records:
                break
            start, end = end + 1, end + wanted - len(jobs)
        return jobs

    async def iter_jobs(self, state: JobState, *, page: int = 500) -> AsyncIterator[Job[Any]]:
        """Go through all jobs of a state, the next to run, or the earliest, first.

        Jobs that enter or leave the state meanwhile may be missed or seen twice.

        Args:
            state: which state.
            page: how many are read at a time.
        """
        state, start = state_of(state), 0
        while True:
            ids = await self._store.run(
                reading.range_of_state(
                    self._keys, state, start=start, end=start + page - 1, ascending=True
                )
            )
            for record in await self._read_all(ids):
                if record is not None:
                    yield self._bind(record)
            if len(ids) < page:
                return
            start += page

    async def _read_all(self, job_ids: Sequence[str]) -> list[JobRecord | None]:
        chunks = [job_ids[at : at + _READ_BATCH] for at in range(0, len(job_ids), _READ_BATCH)]
        calls = [reading.get_jobs(self._keys, chunk) for chunk in chunks]
        return [record for records in await self._store.run_all(calls) for record in records]

    async def get_logs(self, job_id: str, *, start: int = 0, end: int = -1) -> JobLogs:
        """Read a page of a job's log, oldest row first."""
        calls = details.read_logs(self._keys, self._check_id(job_id), start, end)
        rows, count = await self._store.run_all(calls)
        return details.logs_of(rows, count)

    async def wait_for_result(self, job_id: str, *, timeout: Duration = "30s") -> JsonValue:  # noqa: ASYNC109
        """Wait until a job is finished and give what its handler returned; see ``Job.result``."""
        return await wait_for_result(self._store, self._keys, job_id, timeout)

    async def is_paused(self) -> bool:
        """Whether the queue is paused."""
        return await self._store.run(switching.is_paused(self._keys))

    async def ping(self) -> float:
        """Ask the server whether it is there.

        Returns:
            How long the answer took, in seconds.

        Raises:
            StoreUnavailable: it is not.
        """
        started = time.monotonic()
        await self._store.run(reading.ping())
        return time.monotonic() - started
