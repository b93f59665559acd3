"""A burst: a worker that runs what is waiting and ends, for hosts with a timer and no workers."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from oxcart import Fail, GiveBack, JobContext, JobCounts, JobState, Retry
from oxcart._engine.middleware import CallNext
from oxcart._model.outcome import Failed, GivenBack, Outcome, PutBack, Retried
from oxcart.app import App, AppWorker
from oxcart.errors import ConfigError, Steering
from oxcart.queue import Queue

log = logging.getLogger("oxcart.worker")

LOOK_S = 0.1
"""How often it is looked whether anything is left."""
IDLE_LOOKS = 2
"""How many looks in a row must find nothing: a job is neither waiting nor running for an instant
while it is taken."""
HELD_BACK_S = 15.0
"""Jobs that are not taken for this long, though nothing runs, are held back: by a limit, or because
they are not due after all."""


class BurstEnd(StrEnum):
    """Why a burst ended."""

    EMPTY = "empty"
    """Nothing is waiting and nothing is due, but in paused queues."""
    MAX_JOBS = "max_jobs"
    MAX_SECONDS = "max_seconds"
    HELD_BACK = "held_back"
    """Jobs are waiting, and the queue does not give them out: it is limited."""
    STOPPED = "stopped"
    """Somebody stopped the worker."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BurstLimits:
    """How much a burst does at the most.

    Attributes:
        max_jobs: how many jobs it starts.
        max_seconds: for how long it starts jobs; those that run then have the worker's grace.
    """

    max_jobs: int | None = None
    max_seconds: float | None = None

    def __post_init__(self) -> None:
        """Check the limits.

        Raises:
            ConfigError: one is not above zero.
        """
        for name, value in (("max_jobs", self.max_jobs), ("max_seconds", self.max_seconds)):
            if value is not None and value <= 0:
                raise ConfigError(f"{name} of a burst is {value}; it must be above 0")


@dataclass(frozen=True, slots=True, kw_only=True)
class BurstReport:
    """What a burst did.

    Attributes:
        started_count: jobs that were started.
        completed_count: those that completed.
        failed_count: those whose attempt failed; some are run again later.
        put_back_count: those that went back to the queue without an attempt being counted.
        seconds: how long it took.
        ended: why it ended.
        not_run: why jobs were not run, by queue and id: the worker does not know their name or
            payload, they expired, stalled too often, or cannot be read. They are not among those
            that were started.
    """

    started_count: int
    completed_count: int
    failed_count: int
    put_back_count: int
    seconds: float
    ended: BurstEnd
    not_run: Mapping[tuple[str, str], str] = field(default_factory=dict)


class Burst:
    """Watches over one worker until there is nothing left to do, or a limit is met.

    ::

        burst = Burst(app, ["images"], BurstLimits(max_seconds=50))
        worker = app.worker({"images": 5}, middlewares=[burst.around])
        report = await burst.run(worker)

    Args:
        app: whose jobs.
        queues: the queues that the worker serves.
        limits: when to end before they are empty.
    """

    def __init__(self, app: App, queues: Sequence[str], limits: BurstLimits | None = None) -> None:
        self._queues = [app.queue(name) for name in queues]
        self._limits = limits or BurstLimits()
        self._is_full = asyncio.Event()
        self._moved_at = time.monotonic()
        self._started = self._completed = self._failed = self._put_back = 0
        self._begun: set[tuple[str, str]] = set()
        self._not_run: dict[tuple[str, str], str] = {}

    async def around(self, job: JobContext, call_next: CallNext) -> object:
        """Count a job: a middleware of the worker."""
        self._begun.add((job.queue, job.job_id))
        if self._is_full.is_set():
            raise GiveBack  # taken together with the last one that the limit allows
        self._started += 1
        self._moved_at = time.monotonic()
        if self._started == self._limits.max_jobs:
            self._is_full.set()
        try:
            result = await call_next(job)
        except asyncio.CancelledError:
            self._put_back += 1
            raise
        except BaseException as error:
            if error is job.payload_error:
                self._started -= 1  # the payload does not fit, so the handler was not called
                self._begun.discard((job.queue, job.job_id))
            elif isinstance(error, Steering) and not isinstance(error, Fail | Retry):
                self._put_back += 1
            else:
                self._failed += 1
            raise
        else:
            self._completed += 1
            self._begun.discard((job.queue, job.job_id))
            return result
        finally:
            self._moved_at = time.monotonic()

    def note_written(self, queue: str, job_id: str, outcome: Outcome | None) -> None:
        """Note a job that the worker has ended or put back without running it."""
        if (queue, job_id) in self._begun:
            self._begun.discard((queue, job_id))
        elif not isinstance(outcome, GivenBack):  # else the worker stops
            self._not_run[queue, job_id] = _reason_of(outcome)
            self._moved_at = time.monotonic()

    async def run(
        self, worker: AppWorker, run: Callable[[AppWorker], Awaitable[None]] | None = None
    ) -> BurstReport:
        """Run the worker until the burst is over.

        Args:
            worker: made with ``around`` among its middlewares.
            run: runs the worker, with what its jobs need around it; default: ``worker.run``.

        Raises:
            StoreUnavailable: the server cannot be reached.
        """
        try:
            return await self._run(worker, run)
        except ExceptionGroup as group:
            raise _first_of(group) from group

    async def _run(
        self, worker: AppWorker, run: Callable[[AppWorker], Awaitable[None]] | None
    ) -> BurstReport:
        began_at = self._moved_at = time.monotonic()
        worker.on_written = self.note_written
        async with asyncio.TaskGroup() as group:
            working = group.create_task(_run(worker, run))
            watching = group.create_task(self._watch())
            await asyncio.wait([working, watching], return_when=asyncio.FIRST_COMPLETED)
            ended = BurstEnd.STOPPED
            if watching.done() and not watching.cancelled() and watching.exception() is None:
                ended = watching.result()
            watching.cancel()
            worker.stop()
        report = self._report(time.monotonic() - began_at, ended)
        log.info(
            "worker.burst_over jobs=%d completed=%d failed=%d not_run=%d ended=%s",
            report.started_count, report.completed_count, report.failed_count,
            len(report.not_run), ended.value,
        )  # fmt: skip
        return report

    async def _watch(self) -> BurstEnd:
        try:
            async with asyncio.timeout(self._limits.max_seconds):
                return await self._watch_queues()
        except TimeoutError:
            return BurstEnd.MAX_SECONDS

    async def _watch_queues(self) -> BurstEnd:
        idle_looks = 0
        while not self._is_full.is_set():
            if self._running_count:
                idle_looks = 0
            elif await self._has_work():
                idle_looks = 0
                if time.monotonic() - self._moved_at > HELD_BACK_S:
                    return BurstEnd.HELD_BACK
            else:
                idle_looks += 1
                if idle_looks == IDLE_LOOKS:
                    return BurstEnd.EMPTY
            await self._pause()
        return BurstEnd.MAX_JOBS

    async def _pause(self) -> None:
        try:
            async with asyncio.timeout(LOOK_S):
                await self._is_full.wait()
        except TimeoutError:
            pass

    @property
    def _running_count(self) -> int:
        return self._started - self._completed - self._failed - self._put_back

    async def _has_work(self) -> bool:
        for queue in self._queues:
            if await queue.is_paused():
                continue
            counts = await queue.get_counts()
            if counts.waiting or counts.prioritized or await _has_due(queue, counts):
                return True
        return False

    def _report(self, seconds: float, ended: BurstEnd) -> BurstReport:
        return BurstReport(
            started_count=self._started,
            completed_count=self._completed,
            failed_count=self._failed,
            put_back_count=self._put_back,
            seconds=seconds,
            ended=ended,
            not_run=dict(self._not_run),
        )


def _reason_of(outcome: Outcome | None) -> str:
    match outcome:
        case Failed(reason=reason) | Retried(reason=reason) | PutBack(reason=reason):
            return reason
        case None:
            return "it has no data"
        case _:
            return "put back for another worker"


async def _run(worker: AppWorker, run: Callable[[AppWorker], Awaitable[None]] | None) -> None:
    await (worker.run() if run is None else run(worker))


def _first_of(error: Exception) -> Exception:
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    return error


async def _has_due(queue: Queue, counts: JobCounts) -> bool:
    """Whether the earliest delayed job is due, or may be."""
    if not counts.delayed:
        return False
    earliest = await queue.get_jobs(JobState.DELAYED, start=0, end=0, ascending=True)
    now_ms = time.time() * 1_000
    return any(
        max(job.created_at_ms, job.processed_at_ms or 0) + job.delay_ms <= now_ms
        for job in earliest
    )
