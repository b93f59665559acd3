"""How a function's time is shared out: running jobs, ending them, and telling SQS about it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Self

MOST_KEPT_S = 10.0
"""How much time is kept for ending, if the function has much."""
KEPT_SHARE = 0.25
"""Which share of it, if it has little."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """A function's time, in seconds of the monotonic clock.

    Attributes:
        started_at: when the batch began.
        take_until: no job is begun after this.
        run_until: jobs that run are cancelled now.
        tell_at: jobs that have not ended are left behind, so that SQS can be told.
        ends_at: the function is killed.
    """

    started_at: float
    take_until: float
    run_until: float
    tell_at: float
    ends_at: float

    @classmethod
    def of(cls, remaining_s: float, *, now: float | None = None) -> Self:
        """Share out what remains.

        Args:
            remaining_s: how long the function may go on.
            now: the monotonic clock.
        """
        started_at = time.monotonic() if now is None else now
        kept = min(MOST_KEPT_S, remaining_s * KEPT_SHARE)
        ends_at = started_at + remaining_s
        return cls(
            started_at=started_at,
            take_until=ends_at - kept * 1.5,
            run_until=ends_at - kept,
            tell_at=ends_at - kept / 3,
            ends_at=ends_at,
        )

    @property
    def may_take(self) -> bool:
        """Whether another job may be begun."""
        return time.monotonic() < self.take_until

    @property
    def run_ms(self) -> int:
        """How long a job may run that begins at once."""
        return round((self.run_until - self.started_at) * 1_000)
