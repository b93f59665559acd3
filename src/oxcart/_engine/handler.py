"""What a worker runs: a handler, with everything the engine must know about it."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from oxcart._engine.retry_policy import BackoffStrategy, RetryRules
from oxcart._engine.threads import HandlerThreads
from oxcart._engine.worker_hooks import WorkerHooks
from oxcart._model.json import JsonValue
from oxcart.errors import ConfigError

if TYPE_CHECKING:
    from oxcart._engine.context import JobContext


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedJob:
    """A job that failed for good, as its ``on_failure`` hook gets it.

    Its ``repr`` leaves payload and error out: they may hold secrets.

    Attributes:
        id: the job.
        name: its name.
        queue: its queue.
        data: its payload; ``None`` if it could not be read.
        reason: why it failed.
        attempts_made: how many attempts were made, the last one included.
        error: what the last attempt raised, with its traceback: also when the payload does not
            fit (``PayloadError``), when it took too long (``TimeoutError``) or was cancelled
            (``asyncio.CancelledError``). ``None`` if nothing was run: a job that cannot be read,
            has expired, stalled too often, or has a name that nobody handles.
    """

    id: str
    name: str
    queue: str
    data: JsonValue = field(repr=False)
    reason: str
    attempts_made: int = 1
    error: BaseException | None = field(default=None, compare=False, repr=False)


Invoke = Callable[["JobContext"], Awaitable[object]]
OnFailure = Callable[[FailedJob], Awaitable[object]]
OnSuccess = Callable[["JobContext", object], Awaitable[object]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Handler:
    """A handler as the engine runs it.

    Attributes:
        invoke: runs it on a job, after checking the payload, with the middlewares around it.
        timeout_ms: how long a run may take; ``None`` sets no limit.
        on_failure: awaited after a job was moved to failed for good.
        retry: what follows a failed attempt, by the class of its error.
        backoff: tells the wait between attempts of jobs that bring no backoff of their own.
    """

    invoke: Invoke
    timeout_ms: int | None = None
    on_failure: OnFailure | None = None
    retry: RetryRules | None = None
    backoff: BackoffStrategy | None = None


@dataclass(frozen=True, slots=True)
class Handlers:
    """The handlers of a queue, and what is the same for all of them.

    Attributes:
        by_name: a handler a job name.
        fallback: runs every other name; without it such a job fails.
        after: awaited after a handler returned.
        on_failure: awaited after a job was moved to failed whose name no handler has.
        backoff_strategies: tell the wait of jobs whose backoff has one of these types.
        hooks: called after a fact was written, besides ``on_failure``.
    """

    by_name: Mapping[str, Handler]
    fallback: Handler | None = None
    after: tuple[OnSuccess, ...] = ()
    on_failure: OnFailure | None = None
    backoff_strategies: Mapping[str, BackoffStrategy] = field(default_factory=dict)
    hooks: WorkerHooks = field(default_factory=WorkerHooks)

    @property
    def names(self) -> tuple[str, ...] | None:
        """The job names that have a handler; ``None``: any name."""
        return None if self.fallback is not None else tuple(sorted(self.by_name))

    def find(self, name: str) -> Handler | None:
        """The handler of a job name, if there is one."""
        return self.by_name.get(name, self.fallback)


def is_coroutine_function(function: object) -> bool:
    """Whether calling it gives a coroutine: an ``async def``, or an object that has one to call."""
    called = getattr(function, "__call__", None)  # noqa: B004  # what it is, not whether it is
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(called)


def as_async(function: Callable[..., object], threads: HandlerThreads) -> Callable[..., Any]:
    """A function to await: itself if it is an ``async def``, or its calls in a thread.

    Raises:
        ConfigError: it is no function.
    """
    if is_coroutine_function(function):
        return function
    if not callable(function):
        raise ConfigError(f"a handler or hook is {function!r}; it must be a function")

    async def call_in_thread(*args: object, **kwargs: object) -> object:
        return await threads.run(functools.partial(function, *args, **kwargs))

    return call_in_thread
