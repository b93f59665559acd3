"""What an application puts around its jobs: middlewares, hooks and resources, as decorators."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from dataclasses import dataclass
from typing import Any, TypeVar, overload

from oxcart._engine.context import JobContext
from oxcart._engine.handler import FailedJob, Invoke, OnFailure, OnSuccess, as_async
from oxcart._engine.middleware import Middleware, all_of, checked, compose
from oxcart._engine.resources import Registry, Resource, Scope, Supply
from oxcart._engine.threads import HandlerThreads
from oxcart._engine.worker_hooks import (
    CompletedJob,
    FailedAttempt,
    Hook,
    StalledJob,
    WorkerHooks,
    WorkerTrouble,
)

BeforeHook = Callable[[JobContext], object]
AfterHook = Callable[[JobContext, Any], object]
FailureHook = Callable[[FailedJob], object]
CompletedHook = Callable[[CompletedJob], object]
AttemptHook = Callable[[FailedAttempt], object]
StalledHook = Callable[[StalledJob], object]
ErrorHook = Callable[[WorkerTrouble], object]
"""Hooks are ``async def``, or ``def`` and then run in a thread."""

_Opened = (
    AsyncIterator[Any]
    | Iterator[Any]
    | AbstractAsyncContextManager[Any]
    | AbstractContextManager[Any]
)
M = TypeVar("M", bound=Middleware)
B = TypeVar("B", bound=BeforeHook)
A = TypeVar("A", bound=AfterHook)
F = TypeVar("F", bound=FailureHook)
C = TypeVar("C", bound=CompletedHook)
T = TypeVar("T", bound=AttemptHook)
S = TypeVar("S", bound=StalledHook)
E = TypeVar("E", bound=ErrorHook)
Opener = TypeVar("Opener", bound=Callable[..., _Opened])


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What surrounds the jobs of one worker.

    Attributes:
        threads: where plain functions run.
        supply: the resources.
        middlewares: the first outermost.
        before: called before each attempt.
        after: called after a handler returned.
        on_failure: called after a job failed for good.
        hooks: called after other facts were written.
    """

    threads: HandlerThreads
    supply: Supply
    middlewares: tuple[Middleware, ...]
    before: tuple[Invoke, ...]
    after: tuple[OnSuccess, ...]
    on_failure: tuple[OnFailure, ...]
    hooks: WorkerHooks

    def around(self, invoke: Invoke) -> Invoke:
        """Put middlewares and hooks around a handler."""
        return compose(invoke, self.middlewares, self.before)

    def failure_hook(self, own: FailureHook | None = None) -> OnFailure | None:
        """What is told of a job that failed for good.

        Args:
            own: the job's own hook, which is told first.
        """
        mine = () if own is None else (as_async(own, self.threads),)
        return all_of([*mine, *self.on_failure])


class Extensions:
    """The decorators for what surrounds the jobs; the base of ``App``."""

    def __init__(self) -> None:
        self._middlewares: list[Middleware] = []
        self._before: list[BeforeHook] = []
        self._after: list[AfterHook] = []
        self._on_failure: list[FailureHook] = []
        self._on_completed: list[CompletedHook] = []
        self._on_attempt_failed: list[AttemptHook] = []
        self._on_stalled: list[StalledHook] = []
        self._on_error: list[ErrorHook] = []
        self._resources = Registry()

    def middleware(self, function: M, /) -> M:
        """Run a function around every attempt of every job.

        ::

            @app.middleware
            async def timed(job: JobContext, call_next: CallNext) -> object:
                started = time.perf_counter()
                try:
                    return await call_next(job)
                finally:
                    observe(job.name, time.perf_counter() - started)

        The first one declared is the outermost. It sees what the handler returns or raises, and
        what it returns or raises itself counts. It is within the job's time-out.

        Raises:
            ConfigError: the function is no ``async def``.
        """
        self._middlewares.append(checked(function))
        return function

    def before(self, hook: B, /) -> B:
        """Call a function before every attempt, inside the middlewares.

        What it raises fails the attempt, as if the handler had raised it.
        """
        self._before.append(hook)
        return hook

    def after(self, hook: A, /) -> A:
        """Call a function with the job and its result once a handler has returned.

        It is called while the job is still active, within its time-out, and told nothing of
        failures. What it raises is logged and changes nothing.
        """
        self._after.append(hook)
        return hook

    def on_failure(self, hook: F, /) -> F:
        """Call a function after any job failed for good, besides the job's own ``on_failure``.

        It may be called twice when the worker crashes. What it raises is logged.
        """
        self._on_failure.append(hook)
        return hook

    def on_completed(self, hook: C, /) -> C:
        """Call a function with a ``CompletedJob`` after its result was written.

        Unlike ``after``, it is called when the job counts as completed for every other program,
        once; it is not called if the worker is killed before. What it raises is logged.
        """
        self._on_completed.append(hook)
        return hook

    def on_attempt_failed(self, hook: T, /) -> T:
        """Call a function with a ``FailedAttempt`` after an attempt failed that is not the last.

        The last one is reported to ``on_failure``. What it raises is logged.
        """
        self._on_attempt_failed.append(hook)
        return hook

    def on_stalled(self, hook: S, /) -> S:
        """Call a function with a ``StalledJob`` after this worker's check put back a lost job.

        One worker of a queue finds each. What the function raises is logged.
        """
        self._on_stalled.append(hook)
        return hook

    def on_error(self, hook: E, /) -> E:
        """Call a function with a ``WorkerTrouble`` after an error of the worker itself.

        Such as a server that cannot be reached: each connection of the worker reports an error that
        lasts once. Errors of jobs are not reported here. What the function raises is logged.
        """
        self._on_error.append(hook)
        return hook

    @overload
    def resource(self, function: Opener, /) -> Opener: ...

    @overload
    def resource(self, /, *, scope: Scope = ...) -> Callable[[Opener], Opener]: ...

    def resource(self, function: Any = None, /, *, scope: Scope = "worker") -> Any:
        """Declare what handlers may ask for by its type.

        ::

            @app.resource
            async def http_client() -> AsyncIterator[httpx.AsyncClient]:
                async with httpx.AsyncClient() as client:
                    yield client

            @app.job
            async def fetch(url: str, *, client: httpx.AsyncClient = Provided) -> int: ...

        The function yields once, or gives a context manager; a plain one runs in a thread. Its own
        parameters may ask for other resources in the same way, and for the ``JobContext`` of the
        attempt if its scope is ``"job"``. Only what the worker's handlers need is opened.

        Args:
            function: the function that yields the resource, annotated with what it yields.
            scope: ``"worker"``: opened before the worker takes jobs, closed after its last job.
                ``"job"``: opened before each attempt and closed after it, where it sees the error
                that the attempt ends with.

        Raises:
            ConfigError: it does not say what it yields, or another yields the same type.
        """

        def declare(opener: Opener) -> Opener:
            self._resources.add(Resource.of(opener, scope))
            return opener

        return declare if function is None else declare(function)

    def _surroundings(self, threads: HandlerThreads) -> Surroundings:
        return Surroundings(
            middlewares=tuple(self._middlewares),
            before=tuple(as_async(hook, threads) for hook in self._before),
            after=tuple(as_async(hook, threads) for hook in self._after),
            on_failure=tuple(as_async(hook, threads) for hook in self._on_failure),
            hooks=WorkerHooks(
                on_completed=_all_async(self._on_completed, threads),
                on_attempt_failed=_all_async(self._on_attempt_failed, threads),
                on_stalled=_all_async(self._on_stalled, threads),
                on_error=_all_async(self._on_error, threads),
            ),
            supply=Supply(self._resources, threads),
            threads=threads,
        )


def _all_async(hooks: Sequence[Callable[..., object]], threads: HandlerThreads) -> tuple[Hook, ...]:
    return tuple(as_async(hook, threads) for hook in hooks)


def worker_hooks(
    threads: HandlerThreads,
    on_completed: CompletedHook | None,
    on_attempt_failed: AttemptHook | None,
    on_stalled: StalledHook | None,
    on_error: ErrorHook | None,
) -> WorkerHooks:
    """The hooks of a worker that has one of each kind at the most.

    Args:
        threads: where plain functions run.
        on_completed: see ``Extensions.on_completed``, as the others.
        on_attempt_failed: as above.
        on_stalled: as above.
        on_error: as above.
    """
    return WorkerHooks(
        on_completed=_all_async([on_completed] if on_completed else [], threads),
        on_attempt_failed=_all_async([on_attempt_failed] if on_attempt_failed else [], threads),
        on_stalled=_all_async([on_stalled] if on_stalled else [], threads),
        on_error=_all_async([on_error] if on_error else [], threads),
    )
