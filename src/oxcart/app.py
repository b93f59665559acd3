"""The registry of an application's jobs, and the connections that they share."""

from __future__ import annotations

import threading
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from os import PathLike
from types import MappingProxyType
from typing import Any, ParamSpec, TypeVar, overload

from oxcart import sync
from oxcart._engine import option_checks
from oxcart._engine.environment import prefix_or_default
from oxcart._engine.extensions import Extensions, FailureHook, Surroundings
from oxcart._engine.handler import Handlers
from oxcart._engine.locating import locate
from oxcart._engine.middleware import Middleware, checked
from oxcart._engine.option_checks import MaxStalled
from oxcart._engine.queue_worker import WorkerOptions
from oxcart._engine.redaction import redact
from oxcart._engine.retry_policy import (
    BackoffStrategy,
    RetryRules,
    check_rules,
    check_strategies,
)
from oxcart._engine.threads import HandlerThreads
from oxcart._engine.unknown_jobs import unknown_job_timeout_ms
from oxcart._model.clock import Clock
from oxcart._model.duration import Duration, to_ms
from oxcart._model.flow import Flow, FlowNode
from oxcart._model.ids import check_queue_name
from oxcart._model.job import JobRecord
from oxcart._model.json import JsonValue
from oxcart._model.links import RateLimit
from oxcart._model.options import Backoff, JobOptions, Retention, exponential
from oxcart._queue.closing import Closing
from oxcart._store.connection import Timeouts
from oxcart._store.store import Store
from oxcart._store.sync_store import SyncStore
from oxcart.app_worker import AppWorker, Prepared
from oxcart.broker import Broker
from oxcart.definition import JobDecorator, JobDefinition
from oxcart.errors import ConfigError
from oxcart.flow import FlowJob, FlowProducer
from oxcart.queue import Queue

__all__ = ["App", "AppWorker"]

P = ParamSpec("P")
R = TypeVar("R")

_DEFAULT_BACKOFF = exponential("1s", jitter=0.2)
_DEFAULT_COMPLETED = Retention(count=1_000, age="24h")
_DEFAULT_FAILED = Retention(count=5_000, age="7d")


class App(Closing, Extensions):
    """An application's jobs.

    ::

        app = App()

        @app.job(queue="images")
        async def resize(image_id: int, width: int = 800) -> str: ...

        job = await resize.enqueue(image_id=7)
        url = await job.result()

    Connections are opened when they are first needed, and closed by ``aclose`` or ``async with``.

    Args:
        redis_url: the server; without it ``REDIS_URL``, and without that a private Valkey that is
            started in ``data_dir`` and stops with the last program that uses it; production refuses
            that.
        prefix: what all keys start with, as BullMQ's; without it ``OXCART_PREFIX``, else ``bull``.
        data_dir: folder of the private Valkey; else ``OXCART_DATA_DIR``, else ``.oxcart``.
        build: the version of the application, such as a Git commit: its workers show it; default:
            ``OXCART_BUILD``, else what the hosting platform's variables say.
        backoff_strategies: tell the wait of jobs whose backoff has one of these types, such as
            ``custom``; see ``BackoffStrategy``.
        timeouts: how long to wait for the server.
        clock: tells the time instead of the server, for tests.
        broker: where jobs wait instead of in Redis, such as ``oxcart.sqs.SqsBroker``. Queues then
            can do what it can; flows and workers need Redis.
    """

    def __init__(
        self,
        redis_url: str | None = None,
        *,
        prefix: str | None = None,
        data_dir: str | PathLike[str] | None = None,
        build: str | None = None,
        backoff_strategies: Mapping[str, BackoffStrategy] | None = None,
        timeouts: Timeouts | None = None,
        clock: Clock | None = None,
        broker: Broker | None = None,
    ) -> None:
        super().__init__()
        self._broker = broker
        self._strategies = check_strategies(backoff_strategies)
        self._prefix = prefix = prefix_or_default(prefix)
        self._build = build
        self._clock = clock
        location = locate(redis_url, data_dir, is_needed=broker is None)
        self._store = Store(location, timeouts=timeouts)
        self._sync_store = SyncStore(location, timeouts=timeouts)
        self._flows = FlowProducer(store=self._store, prefix=prefix, clock=clock)
        self._sync_flows = sync.FlowProducer(store=self._sync_store, prefix=prefix, clock=clock)
        self._queues: dict[str, Queue] = {}
        self._sync_queues: dict[str, sync.Queue] = {}
        self._guard = threading.Lock()
        self._registry: dict[tuple[str, str], JobDefinition[..., Any]] = {}

    @property
    def registry(self) -> Mapping[tuple[str, str], JobDefinition[..., Any]]:
        """Every declared job by (queue, name)."""
        return MappingProxyType(self._registry)

    @overload
    def job(self, name: Callable[P, Awaitable[R]], /) -> JobDefinition[P, R]: ...

    @overload
    def job(self, name: Callable[P, R], /) -> JobDefinition[P, R]: ...

    @overload
    def job(
        self,
        name: str | None = None,
        /,
        *,
        queue: str = ...,
        attempts: int = ...,
        backoff: Backoff | BackoffStrategy | None = ...,
        retry: RetryRules | None = ...,
        timeout: Duration | None = ...,
        expires: Duration | datetime | None = ...,
        priority: int = ...,
        lifo: bool = ...,
        keep_completed: Retention = ...,
        keep_failed: Retention = ...,
        log_limit: int | None = ...,
        stacktrace_limit: int | None = ...,
        secrets: frozenset[str] = ...,
        on_failure: FailureHook | None = ...,
    ) -> JobDecorator: ...

    def job(
        self,
        name: Any = None,
        /,
        *,
        queue: str = "default",
        attempts: int = 3,
        backoff: Backoff | BackoffStrategy | None = _DEFAULT_BACKOFF,
        retry: RetryRules | None = None,
        timeout: Duration | None = "1h",
        expires: Duration | datetime | None = None,
        priority: int = 0,
        lifo: bool = False,
        keep_completed: Retention = _DEFAULT_COMPLETED,
        keep_failed: Retention = _DEFAULT_FAILED,
        log_limit: int | None = None,
        stacktrace_limit: int | None = None,
        secrets: frozenset[str] = frozenset(),
        on_failure: FailureHook | None = None,
    ) -> Any:
        """Declare a handler as a job.

        ``async def`` handlers run on the event loop, ``def`` handlers in a thread. The payload is
        checked against the handler's annotations before it runs; one that does not fit fails for
        good. A handler whose only parameter is positional-only gets the whole payload.

        Args:
            name: the job's name on the wire; default: the function's name.
            queue: its queue.
            attempts: how often it is run before it has failed.
            backoff: the wait between attempts, or a function that tells it; see
                ``BackoffStrategy``. A function stays with the handler: jobs do not carry it.
            retry: what follows a failed attempt, by the class of its error; see ``RetryRules``.
            timeout: how long a run may take; ``None`` sets no limit.
            expires: fail a job unrun if it is still waiting after this long, or at this instant.
            priority: 0 runs first; then 1 to 2,097,151, lower numbers sooner.
            lifo: put jobs to the front of the queue, for retries too.
            keep_completed: retention once completed.
            keep_failed: retention once failed.
            log_limit: keep this many log rows of a job; ``None`` keeps all.
            stacktrace_limit: how many tracebacks of a job are kept; ``None`` keeps all.
            secrets: names of payload members that are never shown, at any depth.
            on_failure: called by the worker after a job failed for good. It may run twice when
                the worker crashes, so it must be idempotent.

        Raises:
            ConfigError: an option is wrong, the handler's parameters cannot be filled from JSON,
                or the queue has a job of this name already.
        """
        defaults = JobOptions(
            attempts=attempts,
            backoff=backoff if isinstance(backoff, Backoff) else None,
            expires=expires,
            priority=priority,
            lifo=lifo,
            keep_completed=keep_completed,
            keep_failed=keep_failed,
            log_limit=log_limit,
            stacktrace_limit=stacktrace_limit,
        )
        rules = None if retry is None else check_rules(retry)
        timeout_ms = None if timeout is None else to_ms(timeout, what="timeout")
        check_queue_name(queue)

        def declare(function: Callable[..., Any]) -> JobDefinition[..., Any]:
            definition: JobDefinition[..., Any] = JobDefinition.of(
                function,
                app=self,
                name=name if isinstance(name, str) else function.__name__,
                queue=queue,
                defaults=defaults,
                timeout_ms=timeout_ms,
                secrets=secrets,
                on_failure=on_failure,
                retry=rules,
                strategy=None if isinstance(backoff, Backoff) else backoff,
            )
            return self._register(definition)

        return declare(name) if callable(name) else declare

    def queue(self, name: str) -> Queue:
        """The queue of a name: the same object each time."""
        if self._broker is not None:
            return self._broker.queue(name)
        with self._guard:
            if name not in self._queues:
                self._queues[name] = Queue(
                    name, prefix=self._prefix, clock=self._clock, store=self._store
                )
            return self._queues[name]

    async def add_flow(self, flow: Flow | FlowNode) -> FlowJob:
        """Add a tree of jobs, all of it or nothing; see ``FlowProducer.add``."""
        self._need_redis("a flow")
        return await self._flows.add(flow)

    def add_flow_sync(self, flow: Flow | FlowNode) -> sync.FlowJob:
        """The blocking twin of ``add_flow``."""
        self._need_redis("a flow")
        return self._sync_flows.add(flow)

    def sync_queue(self, name: str) -> sync.Queue:
        """The queue of a name for blocking code: the same object each time."""
        if self._broker is not None:
            return self._broker.sync_queue(name)
        with self._guard:
            if name not in self._sync_queues:
                self._sync_queues[name] = sync.Queue(
                    name, prefix=self._prefix, clock=self._clock, store=self._sync_store
                )
            return self._sync_queues[name]

    def worker(
        self,
        queues: Mapping[str, int] | None = None,
        *,
        name: str | None = None,
        grace: Duration = "30s",
        lock: Duration = "30s",
        stalled_interval: Duration = "30s",
        max_stalled: MaxStalled = None,
        max_started_attempts: int | None = None,
        unknown_job_timeout: Duration | None = None,
        limiter: RateLimit | None = None,
        metrics: int | None = None,
        keep_completed: Retention = Retention.ALL,
        keep_failed: Retention = Retention.ALL,
        middlewares: Sequence[Middleware] = (),
    ) -> AppWorker:
        """A worker for this application's jobs.

        Args:
            queues: how many jobs of each queue run at a time; default: 10 of each declared queue.
            name: kept with the jobs; default: host and process id.
            grace: how long running jobs may go on when it is stopped.
            lock: how long a job stays locked without being renewed.
            stalled_interval: time between two checks for jobs of vanished workers.
            max_stalled: how many deaths of its process a job is forgiven; ``"attempts"``: each
                uses up an attempt; default: ``OXCART_MAX_STALLED``, else 1.
            max_started_attempts: how often a job may be started; default: any number.
            unknown_job_timeout: how long a job whose name or payload this worker does not know is
                put back until it fails; default: ``OXCART_UNKNOWN_JOB_SECONDS``, else 6 hours.
            limiter: how many jobs of each queue are started in a time, counted over all workers.
            metrics: how many minutes of figures of finished jobs are kept; default: none.
            keep_completed: retention for completed jobs without an option of their own, as Node
                may add them.
            keep_failed: the same for failed ones.
            middlewares: what runs around this worker's jobs, outside of the application's own;
                see ``middleware``.

        Raises:
            ConfigError: a queue has no declared job, a job asks for a resource that there is not,
                a number is wrong, or jobs are not in Redis.
        """
        self._need_redis("a worker")
        declared = {queue for queue, _ in self._registry}
        concurrency = dict.fromkeys(sorted(declared), 10) if queues is None else dict(queues)
        for queue in concurrency:
            if queue not in declared:
                raise ConfigError(
                    f"queue {queue!r} has no job in this application; it has jobs in: "
                    f"{', '.join(sorted(declared)) or 'no queue'}"
                )
        if not concurrency:
            raise ConfigError("this application has no jobs; declare one with @app.job")
        prepared = self.prepare(
            list(concurrency), places=sum(concurrency.values()), around=middlewares
        )
        return AppWorker(
            self._store,
            prepared.surroundings,
            prefix=self._prefix,
            handlers=prepared.handlers,
            concurrency=concurrency,
            name=name,
            build=self._build,
            grace=grace,
            lock=lock,
            options=WorkerOptions(
                name="",
                stalled_interval_ms=to_ms(stalled_interval, what="stalled_interval"),
                max_stalled=option_checks.stalled_limit(max_stalled),
                limiter=limiter,
                metrics=metrics,
                max_started_attempts=max_started_attempts,
                unknown_job_timeout_ms=unknown_job_timeout_ms(unknown_job_timeout),
                keep_completed=keep_completed,
                keep_failed=keep_failed,
            ),
            clock=self._clock,
        )

    def prepare(
        self, queues: Sequence[str], *, places: int, around: Sequence[Middleware] = ()
    ) -> Prepared:
        """Make the declared jobs ready to be run.

        Args:
            queues: whose jobs.
            places: how many run at a time.
            around: middlewares outside of the application's own.

        Raises:
            ConfigError: a job asks for a resource that there is not.
        """
        own = self._surroundings(HandlerThreads(places))
        outer = tuple(checked(middleware) for middleware in around)
        surroundings = replace(own, middlewares=(*outer, *own.middlewares))
        return Prepared(
            handlers={queue: self._handlers(queue, surroundings) for queue in queues},
            surroundings=surroundings,
        )

    def redact(self, job: JobRecord, *, queue: str) -> JsonValue:
        """A copy of a job's data in which the job's declared secrets are replaced."""
        definition = self._registry.get((queue, job.name))
        return redact(job.data, definition.secrets) if definition else job.data

    async def aclose(self) -> None:
        """Close the connections of the running event loop and those of blocking code."""
        await self._store.aclose()
        self._sync_store.close()
        if self._broker is not None:
            self._broker.close()

    def _need_redis(self, what: str) -> None:
        if self._broker is not None:
            raise ConfigError(f"{what} needs Redis; this application's jobs are elsewhere")

    def _register(self, definition: JobDefinition[P, R]) -> JobDefinition[P, R]:
        key = (definition.queue, definition.name)
        if key in self._registry:
            raise ConfigError(f"queue {key[0]!r} has a job named {key[1]!r} already")
        self._registry[key] = definition
        return definition

    def _handlers(self, queue: str, surroundings: Surroundings) -> Handlers:
        return Handlers(
            {
                name: definition.handler(surroundings)
                for (of_queue, name), definition in self._registry.items()
                if of_queue == queue
            },
            after=surroundings.after,
            on_failure=surroundings.failure_hook(),
            hooks=surroundings.hooks,
            backoff_strategies=self._strategies,
        )
