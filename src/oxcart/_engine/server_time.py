"""What time it is on the server, by this process' monotonic clock."""

from __future__ import annotations

import time

FORGET_S = 60.0
"""After this long an estimate is made anew: clocks drift, and may be set."""


class ServerTime:
    """The server's clock, estimated from its replies.

    A reply tells the time in whole milliseconds and was under way for a while, so that it says less
    than the time now is. The reply that says most, of the last minute, is the closest.
    """

    def __init__(self) -> None:
        self._offset_ms: float | None = None
        self._forget_at = 0.0

    def note(self, now_ms: int) -> None:
        """A reply has just said what time it was."""
        now_s = time.monotonic()
        offset_ms = now_ms - now_s * 1_000
        if self._offset_ms is None or offset_ms > self._offset_ms or now_s > self._forget_at:
            self._offset_ms, self._forget_at = offset_ms, now_s + FORGET_S

    def ms_until(self, due_ms: float) -> float:
        """How long it is until a time of the server's clock; negative if that is over."""
        return due_ms - (time.monotonic() * 1_000 + (self._offset_ms or 0.0))
