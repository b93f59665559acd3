"""Reading a queue: its jobs, their states, counts and logs."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Any

from oxcart._engine.results import wait_for_result
from oxcart._model.duration import Duration
from oxcart._model.ids import is_readable_id
from oxcart._model.job import JobCounts, JobLogs, JobRecord
from oxcart._model.json import JsonValue
from oxcart._model.states import JobState, state_of
from oxcart._queue.base import QueueBase
from oxcart._store.calls import details, reading, switching, watching
from oxcart.errors import ConfigError
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
        self,
        state: JobState | Iterable[JobState] | None = None,
        *,
        start: int = 0,
        end: int = 49,
        ascending: bool = False,
    ) -> list[Job[Any]]:
        """Read a page of the jobs of one state, of several, or of all.

        The listing of several states is that of one after another, in the order given, and the
        positions count through all of it. (BullMQ's count in each state.) A page is read in
        portions of 500 jobs and held in memory as a whole: use ``iter_jobs`` for a long listing.

        Args:
            state: which state or states; default: all of them.
            start: first position, from 0.
            end: last position, inclusive; -1 for the last there is.
            ascending: next to run first, or earliest first; else the newest first.

        Returns:
            The jobs. An id whose job vanished is passed over and the page filled up.

        Raises:
            ConfigError: a state or a position is wrong.
        """
        check_page(start, end)
        states = _listed_states(state)
        wanted = None if end == -1 else end - start + 1
        jobs: list[Job[Any]] = []
        for each in states:
            if len(states) > 1 and start > 0:
                count = await self._store.run(reading.count_state(self._keys, each))
                if count <= start:
                    start -= count
                    continue
            left = None if wanted is None else wanted - len(jobs)
            jobs += await self._page(each, start, left, ascending=ascending)
            start = 0
            if wanted is not None and len(jobs) >= wanted:
                break
        return jobs

    async def _page(
        self, state: JobState, start: int, wanted: int | None, *, ascending: bool
    ) -> list[Job[Any]]:
        """Read jobs of a state from a position on, in portions; without a number, to the end."""
        jobs: list[Job[Any]] = []
        refills = 0
        while wanted is None or (len(jobs) < wanted and refills < _REFILLS):
            size = _READ_BATCH if wanted is None else min(_READ_BATCH, wanted - len(jobs))
            page = reading.range_of_state(
                self._keys, state, start=start, end=start + size - 1, ascending=ascending
            )
            ids = await self._store.run(page)
            records = await self._read_all(ids)
            jobs += [self._bind(record) for record in records if record is not None]
            if len(records) < size:
                break
            refills += None in records
            start += size
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

    async def exists(self) -> bool:
        """Whether the queue has settings or jobs on the server; asking writes nothing."""
        return await self._store.run(reading.exists(self._keys))

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


def _listed_states(state: JobState | Iterable[JobState] | None) -> list[JobState]:
    """The states of a listing, each once.

    Raises:
        ConfigError: one of them is unknown, or there is none.
    """
    if state is None:
        return list(watching.COUNTED)
    if isinstance(state, str):
        return [state_of(state)]
    states = list(dict.fromkeys(state_of(each) for each in state))
    if not states:
        raise ConfigError("the list of states is empty; name one, or leave it out for all")
    return states


def check_page(start: int, end: int) -> None:
    """Check the positions of a page.

    Raises:
        ConfigError: the first is negative, or the last is neither -1 nor at or after the first.
    """
    if start < 0 or (end != -1 and end < start - 1):
        raise ConfigError(
            f"start is {start} and end is {end}; positions count from 0, and end is -1 for the last"
        )
