"""When a process that died is started again."""

from __future__ import annotations

FIRST_S = 0.5
LONGEST_S = 30.0
STEADY_S = 60.0
"""A process that ran jobs for so long is one that works: its end is the first failure again."""
STARTS = 4
"""How many starts in a row may fail."""


class Restarts:
    """Decides for one process after another.

    At once after the first death, then after doubling waits, for as long as the processes come to
    run jobs. A start that fails by itself is not tried again before one has come that far: what is
    wrong then is a setting or the application, and whoever started the command is to hear of it.
    """

    def __init__(self) -> None:
        self._has_served = False
        self._deaths = 0
        self._failed_starts = 0

    @property
    def has_restarted(self) -> bool:
        """Whether a process has been started a second time."""
        return self._has_served or self._failed_starts > 1

    def wait_s(self, code: int, *, has_served: bool, lived_s: float) -> float | None:
        """How long to wait before the next start; ``None``: give up.

        Args:
            code: how the process ended: its exit code, or the signal's number, negative.
            has_served: whether it came to take jobs.
            lived_s: how long it lived.
        """
        if has_served:
            self._has_served, self._failed_starts = True, 0
            if lived_s >= STEADY_S:
                self._deaths = 0
            self._deaths += 1
            return 0.0 if self._deaths == 1 else _doubled(self._deaths - 2)
        self._failed_starts += 1
        ended_by_itself = code > 0
        if (ended_by_itself and not self._has_served) or self._failed_starts >= STARTS:
            return None
        return _doubled(self._failed_starts - 1)


def _doubled(times: int) -> float:
    return float(min(LONGEST_S, FIRST_S * 2 ** min(times, 10)))
