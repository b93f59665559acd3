"""A coroutine that runs at once up to its first wait, and goes on when it is awaited.

A step is on its way to the server while its sender starts the jobs of the step before: without a
task of its own for each step, and without the turns of the event loop that a task takes.
"""

from __future__ import annotations

import functools
from collections.abc import Coroutine, Generator
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class Begun(Generic[T]):
    """A coroutine that has begun. The task that makes it must also await it, and soon.

    Args:
        work: the coroutine.
    """

    def __init__(self, work: Coroutine[Any, Any, T]) -> None:
        self._work = work
        self._waits_for: Any = None
        self._result: T | None = None
        self._error: BaseException | None = None
        self._is_over = False
        try:
            self._waits_for = work.send(None)
        except StopIteration as end:
            self._is_over, self._result = True, end.value
        # Told to whoever awaits it.
        except BaseException as error:  # noqa: BLE001
            self._is_over, self._error = True, error

    def __await__(self) -> Generator[Any, Any, T]:
        """Go on from where it waits."""
        if not self._is_over:
            return (yield from self._go_on())
        if self._error is not None:
            raise self._error
        return self._result  # type: ignore[return-value]  # set with is_over, unless it raised

    def _go_on(self) -> Generator[Any, Any, T]:
        waits_for = self._waits_for
        while True:
            try:
                answer = yield waits_for
            except GeneratorExit:
                self._work.close()
                raise
            except BaseException as error:  # noqa: BLE001  # the coroutine's own to handle
                step = functools.partial(self._work.throw, error)
            else:
                step = functools.partial(self._work.send, answer)
            try:
                waits_for = step()
            except StopIteration as end:
                result: T = end.value
                return result
