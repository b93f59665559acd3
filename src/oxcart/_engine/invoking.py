"""Running a function on a job: its arguments from the payload, its resources from the worker."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

from oxcart._engine.handler import Invoke, as_async
from oxcart._engine.payload import Binder
from oxcart._engine.resources import Injection
from oxcart._engine.threads import HandlerThreads
from oxcart.errors import PayloadError

if TYPE_CHECKING:
    from oxcart._engine.context import JobContext


def invoker(
    function: Callable[..., Any],
    binder: Binder,
    threads: HandlerThreads,
    injection: Injection | None = None,
) -> Invoke:
    """Compose what runs a function on a job.

    Args:
        function: the handler.
        binder: makes its arguments of the payload.
        threads: where a plain function runs.
        injection: the resources that it is given.
    """
    call = as_async(function, threads)

    async def invoke(job: JobContext) -> object:
        try:
            args, kwargs = binder.unpack(job.data)
        except PayloadError as error:
            job.payload_error = error
            raise
        return await call(*args, **kwargs)

    if injection is None:
        return invoke
    return _with_resources(call, binder, injection)


def _arguments(binder: Binder, job: JobContext) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The arguments of a call; as in ``invoker``, where it is written out for speed."""
    try:
        return binder.unpack(job.data)
    except PayloadError as error:
        job.payload_error = error
        raise


def _with_resources(call: Callable[..., Any], binder: Binder, injection: Injection) -> Invoke:
    async def invoke(job: JobContext) -> object:
        args, kwargs = _arguments(binder, job)
        return await call(*args, **kwargs, **injection.shared(job))

    async def invoke_within(job: JobContext) -> object:
        args, kwargs = _arguments(binder, job)
        failure: BaseException | None = None
        async with AsyncExitStack() as stack:
            try:
                given = await injection.opened(job, stack)
                result: object = await call(*args, **kwargs, **given)
            except BaseException as error:
                failure = error
                raise
        # A resource may look at an error and raise another, but not make a success of it.
        if failure is not None:
            raise failure
        return result

    return invoke_within if injection.per_job else invoke
