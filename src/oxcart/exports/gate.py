"""Keeps callers from waiting for a queue that has just failed to answer."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

CLOSED_FOR = timedelta(seconds=5)


class QueueGate:
    """Closed for a while after a failure: exports asked for meanwhile are left to the outbox.

    Args:
        closed_for: how long.
        clock: monotonic seconds.
    """

    def __init__(
        self, *, closed_for: timedelta = CLOSED_FOR, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._closed_seconds = closed_for.total_seconds()
        self._clock = clock
        self._opens_at = float("-inf")

    @property
    def is_open(self) -> bool:
        """Whether it is worth trying the queue."""
        return self._clock() >= self._opens_at

    def close(self) -> None:
        """Note that the queue did not answer."""
        self._opens_at = self._clock() + self._closed_seconds
