"""A circuit breaker: who has just waited for a dead server spares the next ones the wait."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import timedelta

DEFAULT_OPEN_FOR = timedelta(seconds=15)


class CircuitBreaker:
    """Says whether a server that may be down should be asked.

    Closed: ask. A failure opens it: do not ask, for ``open_for``. After that one caller may ask
    (the others go on doing without) and its outcome closes the breaker or opens it again. A
    caller that never reports, because it was cancelled, costs one more ``open_for``.

    Threads may share it.

    Args:
        open_for: how long a failure keeps callers away.
        clock: a monotonic clock in seconds.
    """

    def __init__(
        self,
        open_for: timedelta = DEFAULT_OPEN_FOR,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._open_for = open_for.total_seconds()
        self._clock = clock
        self._lock = threading.Lock()
        self._open_until: float | None = None

    @property
    def is_open(self) -> bool:
        """Whether callers are kept away at this moment."""
        with self._lock:
            return self._open_until is not None and self._clock() < self._open_until

    def allows(self) -> bool:
        """Tell whether to ask the server; who is told yes must report the outcome."""
        with self._lock:
            if self._open_until is None:
                return True
            if self._clock() < self._open_until:
                return False
            # This caller is the probe: until it reports, everybody else keeps away.
            self._open_until = self._clock() + self._open_for
            return True

    def succeeded(self) -> None:
        """Report that the server answered."""
        with self._lock:
            self._open_until = None

    def failed(self) -> None:
        """Report that the server did not answer."""
        with self._lock:
            self._open_until = self._clock() + self._open_for
