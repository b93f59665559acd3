"""The timer of a worker that fires when the next delayed job is due."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

DUE_SLACK_S = 0.0005
"""Timers are rounded to milliseconds; one that fires too early costs a step for nothing."""


class DueTimer:
    """Fires at the earliest of the times that it was set to, once.

    Args:
        on_due: called when it fires.
    """

    def __init__(self, on_due: Callable[[], None]) -> None:
        self._on_due = on_due
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.Handle | None = None
        self._at = 0.0  # when the timer fires; uvloop's handles do not all have `when()`

    def set(self, in_ms: float) -> None:
        """Fire in a time, unless it fires earlier anyway."""
        when = self._loop.time() + max(0.0, in_ms) / 1_000 + DUE_SLACK_S
        timer = self._timer
        if timer is not None and not timer.cancelled():
            if self._loop.time() < self._at <= when:
                return
            timer.cancel()
        self._at = when
        self._timer = self._loop.call_at(when, self._fire)

    def _fire(self) -> None:
        self._timer = None
        self._on_due()
