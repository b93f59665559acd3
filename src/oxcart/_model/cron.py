"""Cron patterns: when they fire next, in which time zone.

The calendar (which wall-clock times a pattern names) is the library's; what a wall-clock time means
on the days when clocks change is decided here, as BullMQ decides it (wire format, section 11.4): a
time that the clock skips moves on by what was skipped, and a time that comes twice fires the first
time only, unless the pattern fires in every hour of the day.

The one library of the model, imported when the first pattern is read: plain arithmetic, no I/O.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache
from pathlib import Path
from zoneinfo import ZoneInfo

from oxcart._model.cron_text import to_library
from oxcart.errors import ConfigError

LAST_MS = 253_402_214_400_000
"""A day before the last that a datetime can hold."""

_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001  # wall-clock times have no zone here
_DAY_S = 86_400
_HOURS = 24


class UnknownZone(ConfigError):
    """A time zone that this machine does not know; others may."""


class Cron:
    """A pattern in a time zone.

    Args:
        pattern: five fields, or six with the seconds first; see ``to_library``.
        zone: whose wall clock the pattern speaks of.

    Raises:
        ConfigError: the pattern cannot be read, or names a date that no year has.
    """

    def __init__(self, pattern: str, zone: tzinfo) -> None:
        from cronsim import CronSim, CronSimError

        self._zone = zone
        self._text = to_library(pattern)
        try:
            library = CronSim(self._text, _EPOCH)
        except CronSimError as error:  # of a pattern that was read, it refuses a 30 February only
            raise _never_comes(pattern) from error
        self._fires_every_hour = len(library.hours) == _HOURS
        if self.next_after_ms(0) is None:
            raise _never_comes(pattern)

    def next_after_ms(self, after_ms: int) -> int | None:
        """The first time strictly after an instant, both in ms since the epoch.

        Returns:
            The time; none if the pattern does not fire within fifty years, or the instant is none
            that a calendar has.
        """
        if not 0 <= after_ms < LAST_MS:
            return None
        found = self._next_after(after_ms // 1_000)
        return None if found is None else found * 1_000

    def _next_after(self, after_s: int) -> int | None:
        changed_s = self._first_change(max(0, after_s - _DAY_S), after_s)
        while True:
            found = self._first_in_period(after_s, changed_s)
            if found is None:
                return None
            start_s = after_s if changed_s is None else max(after_s, changed_s)
            changed_s = self._first_change(start_s, found)
            if changed_s is None:
                return found
            # Nothing fires before the clock is changed; from then on, times mean something else.
            after_s = changed_s - 1

    def _first_in_period(self, after_s: int, changed_s: int | None) -> int | None:
        """The first time after an instant as if the clock were not changed any more.

        Args:
            after_s: the instant.
            changed_s: when the clock was changed last, just before or just after the instant.
        """
        start_s = after_s if changed_s is None else max(after_s, changed_s)
        offset = self._offset(start_s)
        before = offset if changed_s is None else self._offset(changed_s - 1)
        low = after_s + offset
        if changed_s is not None and offset < before and not self._fires_every_hour:
            low = max(low, changed_s + before - 1)  # the doubled times have fired already
        found = self._match_after(low)
        times = [] if found is None else [found - offset]
        if changed_s is not None and before < offset:
            skipped = self._match_after(max(after_s, changed_s - 1) + before)
            if skipped is not None and skipped < changed_s + offset:
                times.append(skipped - before)
        return min(times, default=None)

    def _match_after(self, wall_s: int) -> int | None:
        """The first wall-clock time after another one, in seconds since 1970 on the wall."""
        from cronsim import CronSim

        found = next(CronSim(self._text, _EPOCH + timedelta(seconds=wall_s)), None)
        return None if found is None else round((found - _EPOCH).total_seconds())

    def _offset(self, instant_s: int) -> int:
        """How far the wall clock is ahead of UTC, in seconds."""
        if self._zone is UTC:
            return 0
        ahead = datetime.fromtimestamp(instant_s, self._zone).utcoffset()
        return 0 if ahead is None else round(ahead.total_seconds())

    def _first_change(self, after_s: int, until_s: int) -> int | None:
        """When the clock is first changed within a span, if it is."""
        if self._zone is UTC:
            return None
        low, before = after_s, self._offset(after_s)
        while low < until_s:
            high = min(low + _DAY_S, until_s)
            if self._offset(high) != before:
                return self._change_between(low, high)
            low = high
        return None

    def _change_between(self, low: int, high: int) -> int:
        before = self._offset(low)
        while high - low > 1:
            middle = (low + high) // 2
            if self._offset(middle) == before:
                low = middle
            else:
                high = middle
        return high


def _never_comes(pattern: str) -> ConfigError:
    return ConfigError(f"cron pattern is {pattern!r}, which names a date that never comes")


@lru_cache(maxsize=256)
def cron_of(pattern: str, tz: str | None) -> Cron:
    """A pattern, read once.

    Args:
        pattern: see ``Cron``.
        tz: an IANA time zone; ``None`` for that of this machine, as BullMQ has it.

    Raises:
        ConfigError: the pattern or the time zone is none.
    """
    return Cron(pattern, _local_zone() if tz is None else zone_of(tz))


def zone_of(name: str) -> tzinfo:
    """A time zone by its IANA name.

    Raises:
        UnknownZone: there is none of that name, or this machine has no time zone data.
    """
    if name.upper() in ("UTC", "ETC/UTC", "GMT"):
        return UTC
    try:
        return ZoneInfo(name)
    except (ValueError, OSError, LookupError) as error:
        raise UnknownZone(
            f"tz is {name!r}, which is no time zone known here; write an IANA name such as "
            "'Europe/Madrid' (machines without time zone data need the package tzdata)"
        ) from error


def _local_zone() -> tzinfo:
    if name := os.environ.get("TZ", "").removeprefix(":"):
        try:
            return zone_of(name)
        except ConfigError:
            return UTC
    try:
        with Path("/etc/localtime").open("rb") as file:
            return ZoneInfo.from_file(file)
    except (ValueError, OSError):
        return UTC
