"""What a worker runs: a handler, with everything the engine must know about it."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from oxcart._model.json import JsonValue

if TYPE_CHECKING:
    from oxcart._engine.context import JobContext


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedJob:
    """A job that failed for good, as its ``on_failure`` hook gets it.

    Attributes:
        id: the job.
        name: its name.
        queue: its queue.
        data: its payload; ``None`` if it could not be read.
        reason: why it failed.
    """

    id: str
    name: str
    queue: str
    data: JsonValue
    reason: str


Invoke = Callable[["JobContext"], Awaitable[object]]
OnFailure = Callable[[FailedJob], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Handler:
    """A handler as the engine runs it.

    Attributes:
        invoke: runs it on a job, after checking the payload.
        timeout_ms: how long a run may take; ``None`` sets no limit.
        on_failure: awaited after a job was moved to failed for good.
    """

    invoke: Invoke
    timeout_ms: int | None = None
    on_failure: OnFailure | None = None


@dataclass(frozen=True, slots=True)
class Handlers:
    """The handlers of a queue.

    Attributes:
        by_name: a handler a job name.
        fallback: runs every other name; without it such a job fails.
    """

    by_name: Mapping[str, Handler]
    fallback: Handler | None = None

    def find(self, name: str) -> Handler | None:
        """The handler of a job name, if there is one."""
        return self.by_name.get(name, self.fallback)


def is_coroutine_function(function: object) -> bool:
    """Whether calling it gives a coroutine: an ``async def``, or an object that has one to call."""
    called = getattr(function, "__call__", None)  # noqa: B004  # what it is, not whether it is
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(called)
