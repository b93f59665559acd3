"""Schedules: when a scheduler's jobs are due, and what is known of a scheduler.

Source: wire format, sections 11.2 and 11.4.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime

from oxcart._model.clock import epoch_ms
from oxcart._model.cron import LAST_MS, cron_of, zone_of
from oxcart._model.duration import Duration, to_ms
from oxcart._model.json import JsonValue
from oxcart._model.options import PLAIN_OPTIONS, JobOptions, check_aware, check_kind
from oxcart.errors import ConfigError

_MAX_ID_LENGTH = 200
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_LOOKS_LIKE_A_SLOT = re.compile(r":\d{13}(?::|$)")
_LEGACY_HEX = re.compile(r"[0-9a-f]{32}")
_LEGACY_PARTS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """When a scheduler's jobs are due. Made by ``Schedule.every`` or ``Schedule.cron``.

    Attributes:
        interval: the time between two jobs; or else
        pattern: a cron pattern.
        tz: whose wall clock the pattern speaks of; ``None`` for that of each worker's machine.
        offset: how far into each interval (counted from the epoch) the jobs are due.
        start: no job is due before this instant.
        end: no further job is made after this instant.
        limit: make so many jobs at the most.
        immediately: the first job is due at once.
    """

    interval: Duration | None = None
    pattern: str | None = None
    tz: str | None = None
    offset: Duration | None = None
    start: datetime | None = None
    end: datetime | None = None
    limit: int | None = None
    immediately: bool = False

    @classmethod
    def every(
        cls,
        interval: Duration,
        *,
        offset: Duration | None = None,
        start: datetime | None = None,
        end: datetime | None = None,
        limit: int | None = None,
        immediately: bool = False,
    ) -> Schedule:
        """A job every so often, the first one at once.

        Intervals that pass while no worker runs are skipped, not made up for.

        Args:
            interval: the time between two jobs.
            offset: how far into each interval, counted from midnight UTC of 1 January 1970, the
                jobs are due: ``every("1h", offset="15m")`` is a quarter past each hour.
            start: when the first job is due.
            end: after this instant no further job is made; one that was made before still runs.
            limit: make so many jobs at the most.
            immediately: says that the first job is due at once, which it is anyway.

        Raises:
            ConfigError: an option is wrong, or does not go with another one.
        """
        return cls(
            interval=interval,
            offset=offset,
            start=start,
            end=end,
            limit=limit,
            immediately=immediately,
        )

    @classmethod
    def cron(
        cls,
        pattern: str,
        *,
        tz: str | None = "UTC",
        start: datetime | None = None,
        end: datetime | None = None,
        limit: int | None = None,
        immediately: bool = False,
    ) -> Schedule:
        """A job at the times that a cron pattern names.

        Args:
            pattern: five fields (minute, hour, day of month, month, day of week), or six with the
                second first; or ``@hourly``, ``@daily``, ``@weekdays`` and so on.
            tz: an IANA time zone; ``None`` for that of the machine of each worker.
            start: no job is due before this instant.
            end: no job is due after this instant.
            limit: make so many jobs at the most.
            immediately: one more job is due at once, each time the scheduler is upserted.

        Raises:
            ConfigError: the pattern or the time zone is wrong, or an option is.
        """
        return cls(
            pattern=pattern, tz=tz, start=start, end=end, limit=limit, immediately=immediately
        )

    def __post_init__(self) -> None:
        """Check every option.

        Raises:
            ConfigError: naming the option, its value and what it wants.
        """
        if (self.interval is None) == (self.pattern is None):
            raise ConfigError("a schedule has either an interval or a cron pattern")
        if self.interval is None:
            self._check_pattern()
        else:
            self._check_interval()
        for name, value in (("start", self.start), ("end", self.end)):
            if value is not None:
                check_aware(name, value)
        if self.start is not None and self.end is not None and self.end <= self.start:
            raise ConfigError(f"end is {self.end}, which is not after start, {self.start}")
        if self.immediately and self.start is not None:
            raise ConfigError("immediately cannot be given together with start")
        if self.limit is not None and (type(self.limit) is not int or self.limit < 1):
            raise ConfigError(f"limit is {self.limit!r}; it must be a whole number from 1")

    def _check_pattern(self) -> None:
        check_kind("cron pattern", self.pattern, str)
        check_kind("tz", self.tz, str)
        if self.offset is not None:
            raise ConfigError("offset cannot be given together with a cron pattern")
        if self.tz is not None:
            zone_of(self.tz)
        cron_of(self.pattern or "", self.tz)

    def _check_interval(self) -> None:
        every_ms = self.every_ms or 0
        if not 1 <= every_ms < LAST_MS:
            raise ConfigError(f"interval is {self.interval!r}; it must be 1 ms or more")
        if self.tz is not None:
            raise ConfigError("tz can only be given together with a cron pattern")
        if self.offset is None:
            return
        if self.offset_ms >= every_ms:
            raise ConfigError(f"offset is {self.offset!r}; it must be less than the interval")
        if self.start is not None or self.immediately:
            raise ConfigError(
                "offset cannot be given together with start or immediately: it says by itself "
                "when the first job is due"
            )

    @property
    def every_ms(self) -> int | None:
        """The interval in ms."""
        return None if self.interval is None else to_ms(self.interval, what="interval")

    @property
    def offset_ms(self) -> int:
        """The offset in ms; 0 for none."""
        return 0 if self.offset is None else to_ms(self.offset, what="offset")

    @property
    def start_ms(self) -> int | None:
        """The start in ms since the epoch."""
        return None if self.start is None else epoch_ms(self.start)

    @property
    def end_ms(self) -> int | None:
        """The end in ms since the epoch."""
        return None if self.end is None else epoch_ms(self.end)

    def next_after(self, instant: datetime) -> datetime | None:
        """The first time after an instant at which a new scheduler's job would be due.

        Returns:
            The time; ``None`` if there is none any more.
        """
        now = epoch_ms(instant)
        if self.every_ms is None:
            found = self.match_after_ms(now)
        else:
            slot = Slot.first(now + 1, self.every_ms, offset=self.offset_ms, start=self.start_ms)
            ends = self.end_ms
            found = None if ends is not None and slot.due_ms > ends else slot.due_ms
        return None if found is None else datetime.fromtimestamp(found / 1_000, UTC)

    def match_after_ms(self, after_ms: int) -> int | None:
        """The first time after an instant that the pattern names, within start and end.

        Raises:
            ConfigError: the pattern cannot be read.
        """
        if self.start_ms is not None:
            after_ms = max(after_ms, self.start_ms - 1)  # the start itself may be such a time
        found = cron_of(self.pattern or "", self.tz).next_after_ms(after_ms)
        if found is not None and self.end_ms is not None and found > self.end_ms:
            return None
        return found


@dataclass(frozen=True, slots=True)
class Slot:
    """When a job of an interval is due. The rule that the scripts follow, for checks and previews.

    Attributes:
        due_ms: the time.
        offset_ms: how far into its interval that is; kept, so that slots keep their distance from
            each other when some are skipped.
    """

    due_ms: int
    offset_ms: int

    @classmethod
    def first(
        cls, now_ms: int, every_ms: int, *, offset: int = 0, start: int | None = None
    ) -> Slot:
        """The first slot of a scheduler."""
        if start is not None:
            due = max(start, now_ms)
        elif offset:
            due = _aligned(now_ms, every_ms, offset)
        else:
            due = now_ms
        return cls(due, offset or due % every_ms)

    @classmethod
    def following(cls, now_ms: int, every_ms: int, *, previous_ms: int, offset: int) -> Slot:
        """The slot after another one; those that are over are skipped."""
        due = previous_ms + every_ms
        if due < now_ms:
            due = _aligned(now_ms, every_ms, offset % every_ms)
        return cls(due, offset or due % every_ms)


def _aligned(now_ms: int, every_ms: int, offset: int) -> int:
    """The slot of the current interval, or the next one if that is over."""
    due = now_ms - now_ms % every_ms + offset
    return due if due > now_ms else due + every_ms


@dataclass(frozen=True, slots=True, kw_only=True)
class SchedulerInfo:
    """What stands in the server of a scheduler. Its ``repr`` leaves the payload out.

    Attributes:
        id: the scheduler's id.
        name: the name of its jobs.
        next_at_ms: when its pending job is due, in ms since the epoch; the last time of a scheduler
            that has come to its end.
        iterations: how many jobs it has made.
        schedule: when its jobs are due; ``None`` if that cannot be read.
        offset_ms: how far into each interval its jobs are due.
        data: its jobs' payload.
        options: its jobs' options.
        is_legacy: it is a repeatable job of BullMQ 5, whose payload only its pending job has.
        problem: what cannot be read, if something cannot.
    """

    id: str
    name: str
    next_at_ms: int
    iterations: int = 0
    schedule: Schedule | None = None
    offset_ms: int | None = None
    data: JsonValue = field(default_factory=dict, repr=False)
    options: JobOptions = PLAIN_OPTIONS
    is_legacy: bool = False
    problem: str | None = None

    @property
    def next_at(self) -> datetime:
        """When its pending job is due."""
        return datetime.fromtimestamp(min(max(self.next_at_ms, 0), LAST_MS) / 1_000, UTC)


def check_scheduler_id(scheduler_id: str) -> str:
    """Return the id if a scheduler may have it; it may hold ``:``.

    Raises:
        ConfigError: it is empty, too long, holds a control character, or could be taken for another
            scheduler's job or for a repeatable job of BullMQ 5.
    """
    problem = _problem_of_id(scheduler_id)
    if problem:
        raise ConfigError(f"scheduler id {scheduler_id!r} {problem}")
    return scheduler_id


def looks_legacy(scheduler_id: str) -> bool:
    """Whether an id is one that BullMQ gave to repeatable jobs before there were schedulers."""
    return bool(_LEGACY_HEX.fullmatch(scheduler_id)) or _is_legacy_key(scheduler_id)


def _problem_of_id(scheduler_id: str) -> str | None:
    if not isinstance(scheduler_id, str):
        return "must be text"
    if not 1 <= len(scheduler_id) <= _MAX_ID_LENGTH:
        return f"must be 1 to {_MAX_ID_LENGTH} characters"
    if _CONTROL.search(scheduler_id):
        return "contains a control character"
    if _is_legacy_key(scheduler_id):
        return "has the form of a repeatable job of BullMQ 5 (name:id:end:zone:suffix)"
    if _LOOKS_LIKE_A_SLOT.search(scheduler_id):
        return "has a part of 13 digits, which could be taken for the time of another one's job"
    return None


def _is_legacy_key(text: str) -> bool:
    """``name:id:end:zone:suffix`` (wire format, section 11.1)."""
    parts = text.split(":")
    if len(parts) != _LEGACY_PARTS:
        return False
    ends, suffix = parts[2], parts[4]
    return (not ends or ends.isdigit()) and (suffix.isdigit() or " " in suffix)
