"""Middlewares and hooks: the user's code around every job.

A chain is composed once, when a worker is made; running a job only walks along it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING

from oxcart._engine.handler import (
    FailedJob,
    Invoke,
    OnFailure,
    OnSuccess,
    is_coroutine_function,
)
from oxcart.errors import ConfigError

if TYPE_CHECKING:
    from oxcart._engine.context import JobContext

log = logging.getLogger("oxcart.jobs")

CallNext = Invoke
"""What a middleware awaits to run the job: the next middleware, and at last the handler."""
Middleware = Callable[["JobContext", CallNext], Awaitable[object]]


def checked(middleware: Middleware) -> Middleware:
    """Check a middleware when it is given.

    Raises:
        ConfigError: it is not an ``async def``.
    """
    if not is_coroutine_function(middleware):
        raise ConfigError(f"middleware {_name(middleware)} must be an async def")
    return middleware


def compose(
    invoke: Invoke, middlewares: Sequence[Middleware], before: Sequence[Invoke] = ()
) -> Invoke:
    """Put middlewares around a handler, the first outermost, and hooks before it.

    Args:
        invoke: runs the handler.
        middlewares: in the order in which a job meets them.
        before: awaited one after another when the job has passed the middlewares.
    """
    if before:
        invoke = _hooked(invoke, tuple(before))
    for middleware in reversed(middlewares):
        invoke = _around(middleware, invoke)
    return invoke


def all_of(hooks: Sequence[OnFailure]) -> OnFailure | None:
    """One hook that tells all; what one raises is logged and keeps nothing from the next."""
    if len(hooks) <= 1:
        return hooks[0] if hooks else None

    async def tell(failed: FailedJob) -> None:
        for hook in hooks:
            try:
                await hook(failed)
            except asyncio.CancelledError:
                raise
            # A hook is the user's code: what it raises must not stop the worker.
            except BaseException:
                log.exception(
                    "job.on_failure_hook_failed queue=%s job_id=%s", failed.queue, failed.id
                )

    return tell


async def tell_success(
    hooks: Sequence[OnSuccess], job: JobContext, result: object, deadline: float | None
) -> None:
    """Tell hooks that a handler returned. Never raises: the job has succeeded.

    Args:
        hooks: what is told.
        job: the job.
        result: what the handler returned.
        deadline: when the job is over time, in the loop's seconds.
    """
    subject = f"queue={job.queue} job_id={job.job_id} name={job.name}"
    try:
        async with asyncio.timeout_at(deadline):
            for hook in hooks:
                await _tell(hook, job, result, subject)
    # The worker stops, or the time is up: the result stands, and must be written.
    except (asyncio.CancelledError, TimeoutError):
        log.warning("job.after_hooks_cut_short %s", subject)


async def _tell(hook: OnSuccess, job: JobContext, result: object, subject: str) -> None:
    try:
        await hook(job, result)
    except asyncio.CancelledError:
        raise
    # As above: the user's code.
    except BaseException:
        log.exception("job.after_hook_failed %s hook=%s", subject, _name(hook))


def _around(middleware: Middleware, call_next: Invoke) -> Invoke:
    return lambda job: middleware(job, call_next)


def _hooked(invoke: Invoke, before: tuple[Invoke, ...]) -> Invoke:
    async def run_hooks_first(job: JobContext) -> object:
        for hook in before:
            await hook(job)
        return await invoke(job)

    return run_hooks_first


def _name(function: object) -> str:
    return getattr(function, "__qualname__", None) or repr(function)
