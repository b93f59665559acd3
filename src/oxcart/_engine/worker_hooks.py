"""Hooks of a worker, called after a fact was written to the server: values and what calls them.

They are called besides ``on_failure``, which is about jobs that failed for good.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from oxcart._model.json import JsonValue

log = logging.getLogger("oxcart.worker")


@dataclass(frozen=True, slots=True, kw_only=True)
class CompletedJob:
    """A job that was written as completed. Its ``repr`` leaves payload and result out.

    Attributes:
        id: the job.
        name: its name.
        queue: its queue.
        data: its payload.
        result: what its handler returned, as JSON has it.
        attempts_made: how many attempts were made, the last one included.
    """

    id: str
    name: str
    queue: str
    data: JsonValue = field(repr=False)
    result: JsonValue = field(repr=False)
    attempts_made: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedAttempt:
    """An attempt that was written as failed, of a job that is run again.

    Its ``repr`` leaves payload and error out: they may hold secrets.

    Attributes:
        id: the job.
        name: its name.
        queue: its queue.
        data: its payload; ``None`` if it could not be read.
        reason: why the attempt failed.
        attempts_made: how many attempts were made, this one included.
        delay_ms: the wait before the next attempt.
        error: what was raised, with its traceback; ``None`` if nothing was.
    """

    id: str
    name: str
    queue: str
    data: JsonValue = field(repr=False)
    reason: str
    attempts_made: int
    delay_ms: int
    error: BaseException | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class StalledJob:
    """A job whose worker vanished and which was put back to wait.

    Attributes:
        id: the job.
        queue: its queue.
    """

    id: str
    queue: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerTrouble:
    """An error of the worker itself, not of a job: the server cannot be reached, or refuses a call.

    The worker goes on by itself. Each of its connections reports an error that lasts once.

    Attributes:
        queue: the queue.
        error: the error.
    """

    queue: str
    error: BaseException = field(compare=False)


Hook = Callable[[Any], Awaitable[object]]


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerHooks:
    """The hooks of a worker, each with those that are called one after another.

    Attributes:
        on_completed: called with a ``CompletedJob``.
        on_attempt_failed: called with a ``FailedAttempt``.
        on_stalled: called with a ``StalledJob``.
        on_error: called with a ``WorkerTrouble``.
    """

    on_completed: tuple[Hook, ...] = ()
    on_attempt_failed: tuple[Hook, ...] = ()
    on_stalled: tuple[Hook, ...] = ()
    on_error: tuple[Hook, ...] = ()


async def call_hooks(hooks: Sequence[Hook], fact: object) -> None:
    """Call hooks one after another; what one raises is logged and does not stop the next."""
    for hook in hooks:
        try:
            await hook(fact)
        except asyncio.CancelledError:
            raise
        # A hook is the user's code: what it raises must not stop the worker.
        except BaseException:
            kind = type(fact).__name__
            log.exception("worker.hook_failed hook=%s fact=%s", _name(hook), kind)


def _name(hook: Hook) -> str:
    return str(getattr(hook, "__qualname__", hook))
