"""A pool of threads that never keep the process from ending.

``concurrent.futures`` joins its threads when the interpreter exits: one handler that hangs in a
call into C would keep a stopped worker's process alive, long after its job was put back.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Any, TypeVar

T = TypeVar("T")


class DaemonPool:
    """Runs functions in threads that are kept for the next one.

    Args:
        limit: how many threads there are at the most; further functions wait for one of them.
        name: what the threads are called.
    """

    def __init__(self, limit: int, *, name: str) -> None:
        self._limit = limit
        self._name = name
        self._work: SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None] = SimpleQueue()
        self._idle = threading.Semaphore(0)
        self._guard = threading.Lock()
        self._count = 0
        self._is_closed = False

    def submit(self, function: Callable[[], T]) -> Future[T]:
        """Run a function as soon as a thread is free; the future gives what it returned."""
        future: Future[T] = Future()
        if self._is_closed:
            raise RuntimeError("the worker has ended; its threads take no more work")
        self._work.put((future, function))
        if not self._idle.acquire(blocking=False):
            self._add_thread()
        return future

    def close(self) -> None:
        """Let idle threads go, and busy ones after what they are doing."""
        with self._guard:
            self._is_closed = True
            for _ in range(self._count):
                self._work.put(None)

    def _add_thread(self) -> None:
        with self._guard:
            if self._count == self._limit:
                return
            self._count += 1
            name = f"{self._name}_{self._count}"
        threading.Thread(target=self._serve, name=name, daemon=True).start()

    def _serve(self) -> None:
        while (item := self._work.get()) is not None:
            _run(*item)
            del item  # what it holds must not live until the next one comes
            self._idle.release()


def _run(future: Future[T], function: Callable[[], T]) -> None:
    if not future.set_running_or_notify_cancel():
        return
    try:
        result = function()
    # Whatever the function raises belongs to whoever waits for it, not to this thread.
    except BaseException as error:  # noqa: BLE001
        future.set_exception(error)
    else:
        future.set_result(result)
