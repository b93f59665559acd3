"""Telling a process that stands still from one that runs, by the times that it shows."""

from __future__ import annotations

import time
from collections.abc import Callable

from oxcart._engine.claim import Claim
from oxcart.cli.line import BEATS_A_LOCK

SILENT_BEATS = 2
"""So many beats of the time of a lock are missing: then its locks need somebody else."""


class Silence:
    """How long a process has shown nothing.

    Counted from look to look and never more than two intervals a look: a time in which whoever
    looks stood still too, as when the machine is suspended, proves nothing.

    Args:
        claim: what the process holds.
        monotonic: tells the time.
    """

    def __init__(self, claim: Claim, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.interval_s = claim.lock_ms / 1_000 / BEATS_A_LOCK
        """How often to look."""
        self._monotonic = monotonic
        self._looked_at = monotonic()
        self._beat_at = 0.0
        self.seconds = 0.0
        """How long it is, as of the last look."""

    def look(self, beat_at: float) -> None:
        """Look at the time when the process last ran."""
        now = self._monotonic()
        if beat_at != self._beat_at:
            self.seconds = 0.0
        else:
            self.seconds += min(now - self._looked_at, 2 * self.interval_s)
        self._beat_at, self._looked_at = beat_at, now

    @property
    def is_long(self) -> bool:
        """Whether the locks of the process need somebody else to renew them."""
        return self.seconds >= SILENT_BEATS * self.interval_s
