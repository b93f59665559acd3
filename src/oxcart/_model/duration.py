"""Durations as users write them, in milliseconds as the engine counts them."""

from __future__ import annotations

import re
from datetime import timedelta

from oxcart.errors import ConfigError

Duration = timedelta | str
"""A ``timedelta``, or text with units: ``"500ms"``, ``"10s"``, ``"5m"``, ``"2h"``, ``"1h30m"``."""

_UNIT_MS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}
_LONGEST_MS = 2**53
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d|w)")
_WHOLE = re.compile(rf"(?:{_PART.pattern})+")


def to_ms(duration: Duration, *, what: str = "duration") -> int:
    """Turn a duration into whole milliseconds.

    Args:
        duration: see ``Duration``.
        what: what the duration is for, named in the error.

    Raises:
        ConfigError: the text has no or unknown units, or the duration is negative.
    """
    if isinstance(duration, timedelta):
        ms = round(duration.total_seconds() * 1_000)
    elif _WHOLE.fullmatch(str(duration)):
        parts = _PART.findall(str(duration))
        total = sum(float(number) * _UNIT_MS[unit] for number, unit in parts)
        if total > _LONGEST_MS:
            raise ConfigError(f"{what} is longer than anything can wait: {str(duration)[:40]!r}")
        ms = round(total)
    else:
        raise ConfigError(
            f"{what} is {duration!r}; write a timedelta or text with units, such as '500ms', "
            "'10s', '5m', '2h', '7d' or '1h30m'"
        )
    if ms < 0:
        raise ConfigError(f"{what} is {duration!r}; it cannot be negative")
    return ms


def to_seconds(duration: Duration, *, what: str = "duration") -> float:
    """Turn a duration into seconds; see ``to_ms``."""
    return to_ms(duration, what=what) / 1_000
