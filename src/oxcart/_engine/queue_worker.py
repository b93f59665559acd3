"""One queue's worker: its roles put together, from start to stop."""

from __future__ import annotations

import asyncio
import logging
import secrets
from dataclasses import dataclass
from functools import partial

from oxcart._engine.claim import Guardian
from oxcart._engine.ending import end
from oxcart._engine.executor import Executor
from oxcart._engine.fetcher import Fetcher
from oxcart._engine.handler import Handlers
from oxcart._engine.iterations import IterationMaker
from oxcart._engine.lock_keeper import LockKeeper
from oxcart._engine.outcome_log import OnWritten
from oxcart._engine.pauses import WorkerPause, WorkerPauses
from oxcart._engine.schedule_checker import ScheduleChecker
from oxcart._engine.stalled_sweeper import StalledSweeper
from oxcart._engine.stepper import Stepper, lanes_for
from oxcart._engine.unknown_seeker import UnknownSeeker
from oxcart._engine.waiter import Waiter
from oxcart._model.clock import Clock
from oxcart._model.links import RateLimit
from oxcart._model.options import Retention, check_kind
from oxcart._model.unknown import SeenBy
from oxcart._store.calls.switching import pass_marker_on
from oxcart._store.store import Store
from oxcart._wire.keys import QueueKeys
from oxcart.errors import StoreError

log = logging.getLogger("oxcart.worker")

CANCEL_S = 2.0
"""How long cancelled handlers may take to end before their jobs are put back without them."""
LAST_WRITE_S = 5.0
"""How long the last results of a stopping worker may take to be written."""
OVERDUE_CHECK_S = 1.0
PASS_ON_S = 1.0
NOTHING_RUNS_S = 2.0
"""How long a step in flight is waited for when nothing runs."""
BY_ATTEMPTS = -1
"""Value of ``max_stalled``: deaths of its process use up a job's attempts."""
ID_BYTES = 8
"""Random bytes in a worker's id, and as many more in that of each of its lanes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerOptions:
    """How a queue's worker runs.

    Attributes:
        name: kept with the jobs that it takes; shown in dashboards.
        concurrency: how many jobs run at a time.
        block_s: how long it waits for a marker before it looks for work by itself.
        stalled_interval_ms: time between two stalled checks of the fleet.
        max_stalled: how many deaths of its process a job is forgiven; ``BY_ATTEMPTS``: as many as
            it has attempts left.
        keep_completed: retention for jobs without an option of their own.
        keep_failed: the same for failed ones.
        limiter: how many jobs are started in a time, by all workers that have such a limit.
        metrics: how many points of finished jobs a minute are kept; ``None`` counts none.
        max_started_attempts: how often a job may be taken before it is failed.
        build: the version of the application that it runs.
        unknown_job_timeout_ms: how long a job that it cannot run is put back before it is failed.
    """

    name: str
    concurrency: int = 1
    block_s: float = 5.0
    stalled_interval_ms: int = 30_000
    max_stalled: int = 1
    keep_completed: Retention = Retention.ALL
    keep_failed: Retention = Retention.ALL
    limiter: RateLimit | None = None
    metrics: int | None = None
    max_started_attempts: int | None = None
    build: str = ""
    unknown_job_timeout_ms: int = 0

    def __post_init__(self) -> None:
        """Check what would otherwise be found out when jobs run."""
        check_kind("limiter", self.limiter, RateLimit)
        check_kind("keep_completed", self.keep_completed, Retention)
        check_kind("keep_failed", self.keep_failed, Retention)


class QueueWorker:
    """Runs the jobs of one queue.

    Args:
        store: the server.
        keys: the queue.
        clock: what the time is.
        handlers: what runs the jobs.
        keeper: renews locks, for all queues of the process.
        options: see ``WorkerOptions``.
        holder: what the tokens of all its locks begin with.
        on_written: called for each run that did not complete its job.
        guardian: the supervisor of the process.
        pauses: the queues from which the worker takes no jobs for now.
    """

    def __init__(
        self,
        store: Store,
        keys: QueueKeys,
        clock: Clock,
        handlers: Handlers,
        keeper: LockKeeper,
        options: WorkerOptions,
        *,
        holder: str,
        guardian: Guardian,
        pauses: WorkerPauses | None = None,
        on_written: OnWritten | None = None,
    ) -> None:
        self._runs_assigned = guardian.runs_assigned
        self._store = store
        self._keys = keys
        self._options = options
        self._waiter = Waiter(
            store,
            keys,
            worker_name=options.name,
            block_s=options.block_s,
            on_error=self._note_trouble,
        )
        self._sweeper = StalledSweeper(
            store,
            keys,
            clock,
            interval_ms=options.stalled_interval_ms,
            max_stalled=options.max_stalled,
            lock_ms=keeper.lock_ms,
            holder=holder,
            on_recovered=self._note_stalled,
            on_error=self._note_trouble,
        )
        self._unused_markers = asyncio.Event()
        steppers = [
            Stepper(
                store,
                keys,
                clock,
                worker_id=holder + secrets.token_hex(ID_BYTES),
                worker_name=options.name,
                lock_ms=keeper.lock_ms,
                limit=options.limiter,
                metrics_size=options.metrics or 0,
                on_error=self._note_trouble,
            )
            for _ in range(lanes_for(options.concurrency))
        ]
        seen_by = SeenBy(options.name, options.build)
        iterations = IterationMaker(store, keys, clock)
        executor = Executor(
            handlers,
            store,
            keys,
            keep_completed=options.keep_completed,
            keep_failed=options.keep_failed,
            max_started_attempts=options.max_started_attempts,
            deaths_use_attempts=options.max_stalled == BY_ATTEMPTS,
            seen_by=seen_by,
            unknown_timeout_ms=options.unknown_job_timeout_ms,
            iterations=iterations,
        )
        self.fetcher = Fetcher(
            steppers,
            executor,
            keeper,
            keys,
            concurrency=options.concurrency,
            arm=self._waiter.arm,
            pass_on=self._unused_markers.set,
            on_written=on_written,
            hand_over=partial(guardian.hand_over, keys.queue),
        )
        self._seeker = UnknownSeeker(
            store,
            keys,
            None if handlers.fallback else tuple(handlers.by_name),
            worker=seen_by,
            count=options.concurrency,
            on_found=self.fetcher.look,
        )
        self._checker = ScheduleChecker(store, keys, clock, iterations, on_due=self.fetcher.on_due)
        self._waiter.connect(on_work=self.fetcher.on_work, on_due=self.fetcher.on_due)
        if pauses is not None:
            pauses.listen(keys.queue, self._on_pause)

    async def run(self, stopping: asyncio.Event, forced: asyncio.Event, grace_s: float) -> None:
        """Run jobs until told to stop, then stop with nothing left locked.

        Args:
            stopping: set to stop taking jobs; running ones may go on for the grace period.
            forced: set to put running jobs back at once.
            grace_s: the grace period.
        """
        log.info(
            "worker.started queue=%s name=%s concurrency=%d",
            self._keys.queue,
            self._options.name,
            self._options.concurrency,
        )
        if self._runs_assigned:
            self.fetcher.drain()
        else:
            # Before the first take, so that the check sees none of our own jobs.
            await self._sweeper.check()
        async with asyncio.TaskGroup() as group:
            fetching = [group.create_task(lane) for lane in self.fetcher.lanes()]
            watching = group.create_task(self._abandon_overdue())
            fetching_roles = (
                ()
                if self._runs_assigned
                else (
                    self._waiter.run(),
                    self._sweeper.run(),
                    self._checker.run(),
                    self._pass_markers_on(),
                    self._seeker.run(),
                )
            )
            roles = [group.create_task(role) for role in fetching_roles]
            await stopping.wait()
            log.info(
                "worker.stopping queue=%s jobs=%d grace_s=%g",
                self._keys.queue,
                self.fetcher.running_count,
                grace_s,
            )
            self.fetcher.drain()
            await end(*roles)
            if not self._runs_assigned:
                # The waiter may have taken a marker just then: another worker needs it.
                await self._pass_marker_on()
            await self._finish_running(forced, grace_s)
            await end(watching, *fetching)
        log.info("worker.stopped queue=%s name=%s", self._keys.queue, self._options.name)

    async def _finish_running(self, forced: asyncio.Event, grace_s: float) -> None:
        # With nothing running, only a step in flight can be waited for: that needs no grace.
        if await self._is_idle_within(min(grace_s, NOTHING_RUNS_S), forced):
            return
        if self.fetcher.has_nothing_to_lose:
            return
        if await self._is_idle_within(max(0.0, grace_s - NOTHING_RUNS_S), forced):
            return
        if self.fetcher.running_count:
            log.warning(
                "worker.cancelling queue=%s jobs=%d", self._keys.queue, self.fetcher.running_count
            )
        self.fetcher.cancel_running()
        if await self._is_idle_within(CANCEL_S):
            return
        self.fetcher.give_back_running()
        if not await self._is_idle_within(LAST_WRITE_S):
            log.error(
                "worker.results_not_written queue=%s: the server cannot be reached; "
                "the jobs are recovered as stalled and run again",
                self._keys.queue,
            )

    async def _is_idle_within(self, seconds: float, unless: asyncio.Event | None = None) -> bool:
        """Whether everything ended and was written in time, or before the event was set."""
        try:
            async with asyncio.timeout(seconds), asyncio.TaskGroup() as group:
                idle = group.create_task(self.fetcher.is_idle.wait())
                if unless is not None:
                    cut_short = group.create_task(unless.wait())
                    cut_short.add_done_callback(lambda _: idle.cancel())
                    idle.add_done_callback(lambda _: cut_short.cancel())
        except TimeoutError:
            pass
        return self.fetcher.is_idle.is_set()

    def _on_pause(self, pause: WorkerPause | None, error: BaseException | None) -> None:
        self.fetcher.is_paused = pause is not None
        if pause is None:
            self.fetcher.look()
        if error is not None:
            self._note_trouble(error)

    def _note_stalled(self, job_ids: list[str]) -> None:
        self.fetcher.hooks.stalled(job_ids)

    def _note_trouble(self, error: BaseException) -> None:
        self.fetcher.hooks.trouble(error)

    async def _pass_markers_on(self) -> None:
        """Wake another worker for the jobs that this one has no free place for."""
        while True:
            await self._unused_markers.wait()
            self._unused_markers.clear()
            await self._pass_marker_on()

    async def _pass_marker_on(self) -> None:
        try:
            async with asyncio.timeout(PASS_ON_S):
                await self._store.run(pass_marker_on(self._keys))
        except (StoreError, TimeoutError) as error:
            log.debug("worker.marker_not_passed_on queue=%s: %s", self._keys.queue, error)

    async def _abandon_overdue(self) -> None:
        while True:
            await asyncio.sleep(OVERDUE_CHECK_S)
            self.fetcher.abandon_overdue()
