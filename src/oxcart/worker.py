"""A worker process: queues with their handlers, from start to a clean stop."""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import socket
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from os import PathLike

from oxcart._engine import extensions as ext
from oxcart._engine import option_checks
from oxcart._engine.build import build_of
from oxcart._engine.claim import Claim, Guardian, Nobody
from oxcart._engine.context import JobContext
from oxcart._engine.environment import prefix_or_default
from oxcart._engine.handler import Handler, Handlers, as_async
from oxcart._engine.locating import locate
from oxcart._engine.lock_keeper import LockKeeper
from oxcart._engine.loop_monitor import LoggedLoopReports, LoopMonitor, LoopReports
from oxcart._engine.middleware import Middleware, checked, compose
from oxcart._engine.option_checks import MaxStalled
from oxcart._engine.outcome_log import OnWritten
from oxcart._engine.pauses import WorkerPauses
from oxcart._engine.queue_worker import ID_BYTES, QueueWorker, WorkerOptions
from oxcart._engine.registrar import Registrar, records_of
from oxcart._engine.resources import Supply
from oxcart._engine.retry_policy import BackoffStrategy, check_strategies
from oxcart._engine.running_job import RunningJob
from oxcart._engine.threads import HandlerThreads
from oxcart._engine.unknown_jobs import unknown_job_timeout_ms
from oxcart._model.clock import Clock, ServerClock
from oxcart._model.duration import Duration, to_ms, to_seconds
from oxcart._model.links import RateLimit
from oxcart._model.options import Retention
from oxcart._store.connection import Timeouts
from oxcart._store.server_check import check_server
from oxcart._store.slots import check_slots
from oxcart._store.store import Store
from oxcart._wire.keys import QueueKeys
from oxcart.errors import ConfigError, StoreError

log = logging.getLogger("oxcart.worker")

HandlerFunction = Callable[[JobContext], Awaitable[object]] | Callable[[JobContext], object]


class WorkerGroup:
    """Workers of several queues in one process, sharing connections and the lock keeper.

    Args:
        store: the server.
        prefix: what all keys start with.
        handlers: the handlers of each queue.
        concurrency: how many jobs of each queue run at a time.
        name: kept with the jobs; default: host and process id.
        build: see ``Worker``.
        grace: how long running jobs may go on when it is stopped.
        lock: how long a job stays locked without being renewed.
        options: what is the same for all queues.
        supply: the resources of the handlers.
        clock: tells the time instead of the server, for tests.

    Raises:
        ConfigError: a number is wrong.
    """

    def __init__(
        self,
        store: Store,
        *,
        prefix: str,
        handlers: dict[str, Handlers],
        concurrency: dict[str, int],
        name: str | None = None,
        build: str | None = None,
        grace: Duration = "30s",
        lock: Duration = "30s",
        options: WorkerOptions | None = None,
        supply: Supply | None = None,
        clock: Clock | None = None,
    ) -> None:
        for queue, places in concurrency.items():
            if places < 1:
                raise ConfigError(
                    f"concurrency of queue {queue!r} is {places}; it must be 1 or more"
                )
            check_slots(store.location, QueueKeys(prefix, queue))
        self.name = option_checks.connection_safe(name or f"{socket.gethostname()}-{os.getpid()}")
        self.build = build_of(build)
        """The version of the application that it runs; empty if it is not known."""
        self._store, self._prefix = store, prefix
        self._handlers, self._concurrency = handlers, concurrency
        self._grace_s = to_seconds(grace, what="grace")
        self._lock_ms = option_checks.at_least("lock", to_ms(lock, what="lock"))
        if options is not None:
            option_checks.check_options(options)
        self._options = replace(options or WorkerOptions(name=""), name=self.name, build=self.build)
        self._holder = secrets.token_hex(ID_BYTES)
        self._supply = supply
        self._opening: asyncio.Timeout | None = None
        self._clock = clock or ServerClock()
        self._stopping, self._forced = asyncio.Event(), asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self.guardian: Guardian = Nobody()
        """The process that looks after this one's jobs, where there is one."""
        self.loop_reports: LoopReports = LoggedLoopReports()
        """Receives what is seen of the event loop: whether it turns, and what blocks it."""
        self.on_written: OnWritten | None = None
        """Called for each run that did not complete its job; to be set before ``run``."""
        self.pauses = WorkerPauses()  # of this worker alone: its queues are not paused
        self._queue_workers: list[QueueWorker] = []

    @property
    def concurrency(self) -> Mapping[str, int]:
        """How many jobs of each queue run at a time."""
        return self._concurrency

    async def run(self) -> None:
        """Run jobs until ``stop`` is called. A server that cannot be reached is waited for.

        When the task that runs it is cancelled, running jobs are put back at once.

        Raises:
            ResourceError: a resource could not be opened; no job was taken.
        """
        self._loop = asyncio.get_running_loop()
        await self._store.location.aurl()
        await check_server(self._store)
        if self._supply is None or self._supply.is_empty:
            await self._run_locked()
            return
        try:
            if await self._has_opened(self._supply):
                await self._run_locked()
        finally:
            await self._supply.close()

    async def _has_opened(self, supply: Supply) -> bool:
        """Open the resources; false if the worker is stopped before they are all open."""
        if self._stopping.is_set():
            return False
        try:
            async with asyncio.timeout(None) as self._opening:
                await supply.open()
        except TimeoutError:
            return False
        finally:
            self._opening = None
        return True

    async def _run_locked(self) -> None:
        claim = await self._claim()
        records = records_of(
            claim,
            name=self.name,
            supervisor=self.guardian.process,
            handlers=self._handlers,
            concurrency=self._concurrency,
            build=self.build or "",
        )
        keeper = LockKeeper(
            self._store.location,
            self._store.timeouts,
            lock_ms=self._lock_ms,
            kept_until=self.guardian.kept_until,
            registrar=Registrar(self._prefix, records, self._clock, self.pauses),
        )
        # Before the first take: what is taken then is found.
        self.guardian.begin(claim)
        keeper.start()
        detach = LoopMonitor.attach(self._running_jobs, self.loop_reports)
        try:
            await self._run_queues(keeper)
        finally:
            detach()
            await asyncio.to_thread(keeper.stop)

    async def _claim(self) -> Claim:
        return Claim(
            url=await self._store.location.aurl(),
            prefix=self._prefix,
            queues=tuple(self._concurrency),
            holder=self._holder,
            lock_ms=self._lock_ms,
            max_stalled=self._options.max_stalled,
        )

    def stop(self, *, force: bool = False) -> None:
        """Stop: take no more jobs, and let running ones end within the grace period.

        May be called from any thread and from a signal handler.

        Args:
            force: put running jobs back at once.
        """
        self._soon(self._stop)
        if force:
            self._soon(self._forced.set)

    def _stop(self) -> None:
        self._stopping.set()
        if self._opening is not None and self._loop is not None:
            self._opening.reschedule(self._loop.time())
            self._opening = None

    async def _run_queues(self, keeper: LockKeeper) -> None:
        async with asyncio.TaskGroup() as group:
            running = group.create_task(self._run_all(keeper))
            try:
                await asyncio.shield(running)
            except asyncio.CancelledError:
                self.stop(force=True)
                await running
                raise

    async def _run_all(self, keeper: LockKeeper) -> None:
        async with asyncio.TaskGroup() as group:
            for queue, places in self._concurrency.items():
                worker = QueueWorker(
                    self._store,
                    QueueKeys(self._prefix, queue),
                    self._clock,
                    self._handlers[queue],
                    keeper,
                    replace(self._options, concurrency=places),
                    holder=self._holder,
                    on_written=self.on_written,
                    guardian=self.guardian,
                    pauses=self.pauses,
                )
                self._queue_workers.append(worker)
                group.create_task(worker.run(self._stopping, self._forced, self._grace_s))
            workers = dict(zip(self._concurrency, self._queue_workers, strict=True))
            self.guardian.connect(
                lambda *given: group.create_task(self._run_assigned(workers[given[0]], *given))
            )

    async def _run_assigned(self, worker: QueueWorker, queue: str, job_id: str, token: str) -> None:
        """Run a job that the supervisor assigned, and report its end."""
        try:
            await worker.fetcher.isolation.run_assigned(job_id, token)
        except StoreError as error:
            log.warning("job.not_taken queue=%s job_id=%s: %s", queue, job_id, error)
        self.guardian.settled(queue, job_id)

    def _running_jobs(self) -> list[RunningJob]:
        return [job for worker in self._queue_workers for job in worker.fetcher.running_jobs()]

    def _soon(self, action: Callable[[], None]) -> None:
        if self._loop is None or self._loop.is_closed():
            action()
        else:
            self._loop.call_soon_threadsafe(action)


class Worker(WorkerGroup):
    """A worker of one queue: one handler for every job name, or a handler a name.

    ::

        async def handle(job: JobContext) -> object:
            return {"hello": job.data}

        await Worker("greetings", handle, concurrency=10).run()
        await Worker("greetings", {"hello": handle, "bye": other}).run()

    Programs with several kinds of jobs use ``App``.

    Args:
        queue: the queue's name.
        handler: ``async def`` runs on the event loop, ``def`` in a thread. With a handler a name,
            jobs of other names are put back for other workers; see ``unknown_job_timeout``.
        concurrency: how many jobs run at a time.
        redis_url: see ``Queue``.
        prefix: see ``Queue``.
        data_dir: see ``Queue``.
        name: kept with the jobs; default: host and process id.
        build: the version of the application, such as a Git commit; default: ``OXCART_BUILD``,
            else what the hosting platform's variables say.
        timeout: how long a run may take; ``None`` sets no limit.
        grace: how long running jobs may go on when it is stopped.
        lock: how long a job stays locked without being renewed.
        stalled_interval: time between two checks for jobs of vanished workers.
        max_stalled: how many deaths of its process a job is forgiven; ``"attempts"``: each uses up
            an attempt; default: ``OXCART_MAX_STALLED``, else 1.
        max_started_attempts: how often a job may be started; default: any number.
        unknown_job_timeout: how long a job whose name has no handler here is put back for others
            until it fails; ``"0s"``: at once; default: ``OXCART_UNKNOWN_JOB_SECONDS``, else 6 h.
        limiter: how many jobs are started in a time, counted over all workers of the queue.
        metrics: how many minutes of figures of finished jobs are kept; default: none.
        middlewares: what runs around each job, the first outermost; see ``App.middleware``.
        on_failure: called after a job failed for good; see ``App.on_failure``.
        on_completed: called after a result was written; see ``App.on_completed``.
        on_attempt_failed: called after an attempt failed that is not the last.
        on_stalled: called after a job of a vanished worker was put back.
        on_error: called after an error of the worker itself, such as a server that is away.
        backoff_strategies: tell the wait of jobs whose backoff has one of these types.
        keep_completed: retention for jobs without an option of their own.
        keep_failed: the same for failed ones.
        timeouts: how long to wait for the server.
        clock: tells the time instead of the server, for tests.
        store: an open store to share instead of ``redis_url``.

    Raises:
        ConfigError: a number is wrong, a middleware is no ``async def``, or there is no handler.
    """

    def __init__(
        self,
        queue: str,
        handler: HandlerFunction | Mapping[str, HandlerFunction],
        *,
        concurrency: int = 1,
        redis_url: str | None = None,
        prefix: str | None = None,
        data_dir: str | PathLike[str] | None = None,
        name: str | None = None,
        build: str | None = None,
        timeout: Duration | None = "1h",
        grace: Duration = "30s",
        lock: Duration = "30s",
        stalled_interval: Duration = "30s",
        max_stalled: MaxStalled = None,
        max_started_attempts: int | None = None,
        unknown_job_timeout: Duration | None = None,
        limiter: RateLimit | None = None,
        metrics: int | None = None,
        middlewares: Sequence[Middleware] = (),
        on_failure: ext.FailureHook | None = None,
        on_completed: ext.CompletedHook | None = None,
        on_attempt_failed: ext.AttemptHook | None = None,
        on_stalled: ext.StalledHook | None = None,
        on_error: ext.ErrorHook | None = None,
        backoff_strategies: Mapping[str, BackoffStrategy] | None = None,
        keep_completed: Retention = Retention.ALL,
        keep_failed: Retention = Retention.ALL,
        timeouts: Timeouts | None = None,
        clock: Clock | None = None,
        store: Store | None = None,
    ) -> None:
        self._threads = HandlerThreads(concurrency)
        self._owns_store = store is None
        self._timeout_ms = None if timeout is None else to_ms(timeout, what="timeout")
        self._middlewares = [checked(middleware) for middleware in middlewares]
        self._on_failure = None if on_failure is None else as_async(on_failure, self._threads)
        hooks = (on_completed, on_attempt_failed, on_stalled, on_error)
        handlers = Handlers(
            *self._runnable(handler),
            on_failure=self._on_failure,
            hooks=ext.worker_hooks(self._threads, *hooks),
            backoff_strategies=check_strategies(backoff_strategies),
        )
        super().__init__(
            store or Store(locate(redis_url, data_dir), timeouts=timeouts),
            prefix=prefix_or_default(prefix),
            handlers={queue: handlers},
            concurrency={queue: concurrency},
            name=name,
            build=build,
            grace=grace,
            lock=lock,
            options=WorkerOptions(
                name="",
                stalled_interval_ms=to_ms(stalled_interval, what="stalled_interval"),
                max_stalled=option_checks.stalled_limit(max_stalled),
                keep_completed=keep_completed,
                keep_failed=keep_failed,
                limiter=limiter,
                metrics=metrics,
                max_started_attempts=max_started_attempts,
                unknown_job_timeout_ms=unknown_job_timeout_ms(unknown_job_timeout),
            ),
            clock=clock,
        )

    async def run(self) -> None:
        """Run jobs until ``stop`` is called; see ``WorkerGroup.run``."""
        try:
            await super().run()
        finally:
            self._threads.close()
            if self._owns_store:
                await self._store.aclose()

    def _runnable(
        self, handler: HandlerFunction | Mapping[str, HandlerFunction]
    ) -> tuple[dict[str, Handler], Handler | None]:
        if not isinstance(handler, Mapping):
            return {}, self._handler(handler)
        if not handler:
            raise ConfigError("the worker has no handlers; give it one a job name")
        return {name: self._handler(function) for name, function in handler.items()}, None

    def _handler(self, function: HandlerFunction) -> Handler:
        invoke = compose(as_async(function, self._threads), self._middlewares)
        return Handler(invoke=invoke, timeout_ms=self._timeout_ms, on_failure=self._on_failure)
