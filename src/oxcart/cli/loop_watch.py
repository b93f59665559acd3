"""How long a process' event loop has been blocked, and when the process is killed for it."""

from __future__ import annotations

import time
from collections.abc import Callable

from oxcart._engine.loop_monitor import BlockedLoop

LOOK_S = 1.0
"""How often to look."""
STOPPED_S = 3.0
"""A process whose beat is so old does not run at all, which is no matter of its loop."""
TIMEOUT_MARGIN_S = 10.0
"""A run may take twice its time-out, and at least so much longer, before its process is killed."""


class LoopWatch:
    """Adds up how long a loop has not turned while its process ran.

    Counted from look to look and never more than two intervals a look, so that a time in which the
    supervisor or the machine stood still is not held against the loop.

    Args:
        limit_s: how long a loop may be blocked.
        monotonic: returns the time.
    """

    def __init__(self, limit_s: float, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._limit_s = limit_s
        self._monotonic = monotonic
        self._looked_at = monotonic()
        self._turned_at = 0.0
        self.blocked_s = 0.0
        """For how long the loop has not turned, as of the last look."""

    def look(self, turned_at: float, beat_at: float) -> None:
        """Look at the process.

        Args:
            turned_at: when its loop last turned; 0: the loop is not monitored.
            beat_at: when any of its threads last ran.
        """
        now = self._monotonic()
        if turned_at != self._turned_at or not turned_at:
            self.blocked_s = 0.0
        elif now - beat_at < STOPPED_S:
            self.blocked_s += min(now - self._looked_at, 2 * LOOK_S)
        self._turned_at, self._looked_at = turned_at, now

    def kills_after_s(self, blocked: BlockedLoop | None) -> float:
        """Return how long the loop may be blocked, by the job that blocks it, where it is known."""
        if blocked is None or blocked.timeout_s is None:
            return self._limit_s
        timeout_s = blocked.timeout_s
        return min(self._limit_s, timeout_s + max(timeout_s, TIMEOUT_MARGIN_S))
