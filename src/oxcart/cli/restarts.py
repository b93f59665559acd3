"""When a process that died is started again, and when the command gives up."""

from __future__ import annotations

from dataclasses import dataclass, field

FIRST_S = 0.5
LONGEST_S = 30.0
STEADY_S = 60.0
"""A process that ran jobs for so long is one that works: its end is the first failure again."""
STARTS = 4
"""How many starts in a row may be killed before any process has taken jobs."""
LATER_STARTS = 8
"""How many starts in a row may fail in every place once a process has taken jobs: a minute."""


@dataclass(slots=True)
class Fleet:
    """The starts of all processes of a command.

    Attributes:
        has_served: whether any process has come to take jobs, in any place.
        failed_starts: how many starts in a row have failed, by place.
    """

    has_served: bool = False
    failed_starts: dict[int, int] = field(default_factory=dict)

    @property
    def has_failed(self) -> bool:
        """Whether so many starts have failed in every place that the command gives up."""
        limit = LATER_STARTS if self.has_served else STARTS
        return all(count >= limit for count in self.failed_starts.values())


class Restarts:
    """Decides for the processes of one place, one after another.

    A process that came to take jobs is replaced at once after its first death, then after doubling
    waits. A start that fails is tried again after doubling waits, without end while processes of
    other places run: it costs its own place alone. Two things end the command, so that whatever
    started it learns of a wrong setting or a broken deploy: a start that fails by itself before any
    process has taken jobs, and starts that fail again and again in every place.

    Args:
        place: which place it is.
        fleet: what the places share.
    """

    def __init__(self, place: int = 1, fleet: Fleet | None = None) -> None:
        self._place = place
        self._fleet = fleet or Fleet()
        self._fleet.failed_starts[place] = 0
        self._has_served = False
        self._deaths = 0

    @property
    def has_restarted(self) -> bool:
        """Whether a process has been started a second time in this place."""
        return self._has_served or self._fleet.failed_starts[self._place] > 1

    def wait_s(
        self,
        code: int,
        *,
        has_served: bool,
        lived_s: float,
        has_lost_jobs: bool = False,
        others_serve: bool = False,
    ) -> float | None:
        """How long to wait before the next start; ``None``: the command is to end.

        Args:
            code: how the process ended: its exit code, or the signal's number, negative.
            has_served: whether it came to take jobs.
            lived_s: how long it lived.
            has_lost_jobs: whether it held jobs: these are in quarantine, so that the queue need not
                wait.
            others_serve: whether a process in another place takes jobs.
        """
        fleet = self._fleet
        if has_served:
            self._has_served = fleet.has_served = True
            fleet.failed_starts[self._place] = 0
            if has_lost_jobs:
                return 0.0
            if lived_s >= STEADY_S:
                self._deaths = 0
            self._deaths += 1
            return 0.0 if self._deaths == 1 else _doubled(self._deaths - 2)
        fleet.has_served |= others_serve
        fleet.failed_starts[self._place] += 1
        ended_by_itself = code > 0
        if ended_by_itself and not fleet.has_served:
            return None
        if fleet.has_failed and not others_serve:
            return None
        return _doubled(fleet.failed_starts[self._place] - 1)


def _doubled(times: int) -> float:
    return float(min(LONGEST_S, FIRST_S * 2 ** min(times, 10)))
