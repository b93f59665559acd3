"""Running plain functions in threads, and interrupting those that must end."""

from __future__ import annotations

import asyncio
import contextvars
import ctypes
import threading
from collections.abc import Callable
from dataclasses import dataclass

from oxcart._engine.daemon_pool import DaemonPool

SPARE = 64
"""Threads beyond the concurrency, for runs that do not end when they are told to."""
PATIENCE_S = 5.0
"""How long an interrupted thread may take to end before its job goes on without it."""


CHECKS = 10
"""How many calls of a function raise a pending exception for certain; one is enough in CPython."""


class JobInterrupted(BaseException):
    """Raised inside a handler's thread when its job is timed out, cancelled or lost."""


class HandlerThreads:
    """The threads of a worker's plain handlers.

    Args:
        concurrency: how many run at a time.
    """

    def __init__(self, concurrency: int) -> None:
        self._pool = DaemonPool(concurrency + SPARE, name="oxcart-handler")

    async def run(self, function: Callable[[], object]) -> object:
        """Run a function in a thread.

        When the caller is cancelled, ``JobInterrupted`` is raised inside the function, at its next
        Python instruction; a call into C that never returns cannot be interrupted. Then the caller
        stops waiting after five seconds and the thread is left behind.
        """
        run = _InterruptibleRun(contextvars.copy_context(), function)
        future = asyncio.wrap_future(self._pool.submit(run))
        try:
            ended = await asyncio.shield(future)
        except asyncio.CancelledError:
            run.interrupt()
            await asyncio.wait([future], timeout=PATIENCE_S)
            raise
        if ended.error is not None:
            raise ended.error
        return ended.value

    def close(self) -> None:
        """Let idle threads go; those left behind end with the process."""
        self._pool.close()


@dataclass(frozen=True, slots=True)
class _Ended:
    """How a function ended. A future could not carry StopIteration or GeneratorExit unharmed."""

    value: object = None
    error: BaseException | None = None


class _InterruptibleRun:
    """One run of a function in a thread that can be interrupted while, and only while, it runs."""

    def __init__(self, context: contextvars.Context, function: Callable[[], object]) -> None:
        self._context = context
        self._function = function
        self._guard = threading.Lock()
        self._thread_id: int | None = None
        self._is_unwanted = False

    def __call__(self) -> _Ended:
        with self._guard:
            if self._is_unwanted:
                return _Ended()
            self._thread_id = threading.get_ident()
        try:
            return self._run()
        # Raised after the function had ended, anywhere in what follows it.
        except JobInterrupted as error:
            return _Ended(error=error)

    def _run(self) -> _Ended:
        try:
            ended = _Ended(self._context.run(self._function))
        # Whatever it is, it is raised again where the handler is awaited.
        except BaseException as error:  # noqa: BLE001
            ended = _Ended(error=error)
        with self._guard:
            self._thread_id = None
        if self._is_unwanted:
            _consume_interruption()
        return ended

    def interrupt(self) -> None:
        """End the run if it is under way, or keep it from starting. To be called once."""
        with self._guard:
            self._is_unwanted = True
            if self._thread_id is not None:
                _raise_in_thread(self._thread_id, JobInterrupted)


def _raise_in_thread(thread_id: int, kind: type[BaseException]) -> None:
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread_id), ctypes.py_object(kind))


def _consume_interruption() -> None:
    """Let an exception be raised that was requested but not delivered before the function ended.

    Otherwise it would hit the thread's next job. Clearing it by ``PyThreadState_SetAsyncExc`` with
    NULL leaves the interpreter's request for attention set: CPython 3.11 then never gets on in a
    thread that is profiled or traced, and 3.12 is slower for the rest of the process.
    """
    try:
        # The interpreter raises it at a call of a function or at a jump back.
        for _ in range(CHECKS):
            _do_nothing()
    except JobInterrupted:
        pass


def _do_nothing() -> None:
    pass
