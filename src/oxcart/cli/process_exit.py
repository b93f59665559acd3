"""The end of a process whose handlers have left threads or tasks behind.

When a program has returned, everything that it has to close is closed and every result is written.
What can still keep the process alive is a handler's: a task that ignores its cancellation, for
which the event loop waits, and threads that are not daemons, for which the interpreter waits. They
get a second; then the process runs its exit functions, flushes its output and ends.
"""

from __future__ import annotations

import asyncio
import atexit
import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, NoReturn

from oxcart.observe.sentry import flush_reports

log = logging.getLogger("oxcart.cli")

LOOP_S = 1.0
"""How long the event loop may take to close once the program has returned."""
THREADS_S = 1.0
"""How long threads that are left may go on."""
EXIT_S = 5.0
"""How long exit functions may take in a process that is ended so."""

_exiting = threading.Lock()


class LoopExit:
    """Ends the process when its event loop cannot be closed.

    Args:
        code_of: reports the error that ended the program, and returns the exit code.
    """

    def __init__(self, code_of: Callable[[BaseException], int]) -> None:
        self._code_of = code_of
        self._closed = threading.Event()

    async def watch(self, program: Coroutine[Any, Any, int | None]) -> int | None:
        """Run a program; from its end on the event loop has a second to close."""
        try:
            code = await program
        except BaseException as error:
            self._limit_closing(error)
            raise
        self._limit_closing(code or 0)
        return code

    def loop_closed(self) -> None:
        """The event loop is closed; the process goes on as usual."""
        self._closed.set()

    def _limit_closing(self, end: int | BaseException) -> None:
        tasks = len(asyncio.all_tasks()) - 1
        threading.Thread(
            target=self._exit_late, args=(end, tasks), name="oxcart-exit", daemon=True
        ).start()

    def _exit_late(self, end: int | BaseException, tasks: int) -> None:
        if self._closed.wait(LOOP_S):
            return
        log.warning("program.exit_forced", extra={"tasks": tasks, "threads": _names(_left())})
        exit_now(end if isinstance(end, int) else self._code_of(end))


def exit_process(code: int) -> NoReturn:
    """End the process: as usual, or without waiting for threads that do not end in time."""
    until = time.monotonic() + THREADS_S
    for thread in _left():
        thread.join(max(0.0, until - time.monotonic()))
    left = _left()
    if not left:
        sys.exit(code)
    log.warning("program.exit_forced", extra={"tasks": 0, "threads": _names(left)})
    exit_now(code)


def exit_now(code: int) -> NoReturn:
    """Run the exit functions, flush the output and end the process, whatever still runs in it."""
    with _exiting:  # never released: the first caller ends the process
        last = threading.Timer(EXIT_S, os._exit, (code,))
        last.daemon = True
        last.start()
        # Errors of exit functions are printed by the interpreter.
        with suppress(BaseException):
            flush_reports()
            atexit._run_exitfuncs()  # noqa: SLF001  # what the interpreter would call
        for stream in (sys.stdout, sys.stderr):
            with suppress(Exception):
                stream.flush()
        os._exit(code)


def _left() -> list[threading.Thread]:
    """The threads that the interpreter would wait for."""
    ours = (threading.main_thread(), threading.current_thread())
    return [thread for thread in threading.enumerate() if thread not in ours and not thread.daemon]


def _names(threads: list[threading.Thread]) -> list[str]:
    return sorted(thread.name for thread in threads)
