"""Time, injected so that tests and the wire vectors can fix it, and counted as the wire has it."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol


class Clock(Protocol):
    """Tells the scripts what time it is."""

    def now_ms(self) -> int:
        """Milliseconds since the epoch, or 0: let the server read its own clock."""
        ...


class ServerClock:
    """The server's own clock, read inside each script: one clock for the whole fleet."""

    def now_ms(self) -> int:
        """Always 0, which tells the script to ask the server."""
        return 0


def epoch_ms(instant: datetime) -> int:
    """An aware instant as milliseconds since the epoch."""
    return round(instant.timestamp() * 1_000)
