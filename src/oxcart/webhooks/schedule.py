"""The waits between the attempts of a delivery."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from random import Random

from oxcart import fixed
from oxcart.errors import ConfigError

DEFAULT_WAITS = ("5s", "5m", "30m", "2h", "5h", "10h", "14h", "20h", "24h")
"""Ten attempts in a little over three days, as the Standard Webhooks specification suggests."""
MAX_WAITS = 30
_JITTER = 0.1
_random = Random()  # noqa: S311  # spreads load, protects nothing


@dataclass(frozen=True, slots=True)
class RetrySchedule:
    """The waits between attempts, each lengthened by up to a tenth at random.

    Attributes:
        waits: the wait after each attempt that failed; after the last wait one attempt is left.
    """

    waits: tuple[timedelta, ...]

    @classmethod
    def parse(cls, waits: Sequence[str] = DEFAULT_WAITS) -> RetrySchedule:
        """Read the waits, such as ``("5s", "5m")``.

        Raises:
            ConfigError: one is not a duration, or there are too many.
        """
        if len(waits) > MAX_WAITS:
            raise ConfigError(f"the schedule has {len(waits)} waits; at most {MAX_WAITS} are taken")
        return cls(tuple(timedelta(milliseconds=fixed(wait).delay_ms) for wait in waits))

    @property
    def attempt_count(self) -> int:
        """How many attempts are made in all."""
        return len(self.waits) + 1

    def wait_after(
        self,
        attempt: int,
        *,
        retry_after_seconds: float | None = None,
        random: Callable[[], float] = _random.random,
    ) -> timedelta | None:
        """Return the wait after an attempt that failed, or ``None`` after the last one.

        Args:
            attempt: its number, from 1.
            retry_after_seconds: how long the receiver asks to wait; a shorter wait is lengthened.
            random: a number from 0 to 1.
        """
        if attempt > len(self.waits):
            return None
        wait = self.waits[attempt - 1] * (1 + _JITTER * random())
        return max(wait, timedelta(seconds=retry_after_seconds or 0))
