"""The rules of schedules: the scripts and Python agree, and cron times are what a calendar says."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
import redis
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from oxcart._model.cron import cron_of
from oxcart._model.schedule import Slot
from oxcart._wire import scripts

NOW = 1_700_000_000_000
INTERVALS = st.integers(1, 10**10)
INSTANTS = st.integers(NOW, NOW + 10**11)
PROBE = """
--- @include "lib/slots"
local argv = ARGV
local now, every, offset = tonumber(argv[1]), tonumber(argv[2]), tonumber(argv[3])
local due
if argv[4] == 'first' then
  due = first_slot(now, every, offset, tonumber(argv[5]))
else
  due = following_slot(now, every, offset, tonumber(argv[5]))
end
return string.format('%.0f', due)
"""


class Probe:
    """The slot rule of the scripts, run by the server."""

    def __init__(self, client: redis.Redis) -> None:
        self._script = client.register_script(scripts._join(PROBE))

    def __call__(self, now: int, every: int, offset: int, kind: str, other: int | None) -> int:
        args: list[str | int] = [now, every, offset, kind, "" if other is None else other]
        return int(self._script(keys=[], args=args))


@pytest.fixture(scope="module")
def probe(valkey_url: str) -> Iterator[Probe]:
    client = redis.Redis.from_url(valkey_url)
    yield Probe(client)
    client.close()


@given(now=INSTANTS, every=INTERVALS, offset=st.integers(0, 10**10), start=st.none() | INSTANTS)
def test_first_slot_is_the_scripts(
    probe: Probe, now: int, every: int, offset: int, start: int | None
) -> None:
    offset %= every
    slot = Slot.first(now, every, offset=offset, start=start)

    assert slot.due_ms == probe(now, every, offset, "first", start)
    assert slot.due_ms >= now
    assert start is not None or slot.due_ms <= now + every


@given(now=INSTANTS, every=INTERVALS, offset=st.integers(0, 10**10), previous=INSTANTS)
def test_following_slot_is_the_scripts_and_comes_later(
    probe: Probe, now: int, every: int, offset: int, previous: int
) -> None:
    offset %= every
    slot = Slot.following(now, every, previous_ms=previous, offset=offset)

    assert slot.due_ms == probe(now, every, offset, "following", previous)
    assert slot.due_ms > previous
    assert slot.due_ms >= now
    if slot.due_ms != previous + every:
        assert slot.due_ms % every == offset
        assert slot.due_ms <= now + every


def _field(low: int, high: int) -> st.SearchStrategy[tuple[str, frozenset[int]]]:
    """A field's text and the values that it stands for."""
    everything = frozenset(range(low, high + 1))
    value = st.integers(low, high)
    ranges = st.tuples(value, value).map(sorted)
    return st.one_of(
        st.just(("*", everything)),
        value.map(lambda v: (str(v), frozenset({v}))),
        st.lists(value, min_size=2, max_size=3, unique=True).map(
            lambda vs: (",".join(map(str, vs)), frozenset(vs))
        ),
        ranges.map(lambda ab: (f"{ab[0]}-{ab[1]}", frozenset(range(ab[0], ab[1] + 1)))),
        st.integers(2, high).map(lambda n: (f"*/{n}", frozenset(range(low, high + 1, n)))),
        st.tuples(ranges, st.integers(1, 4)).map(
            lambda given: (
                f"{given[0][0]}-{given[0][1]}/{given[1]}",
                frozenset(range(given[0][0], given[0][1] + 1, given[1])),
            )
        ),
    )


def _often_any(low: int, high: int) -> st.SearchStrategy[tuple[str, frozenset[int]]]:
    """A field of a date, most often unrestricted: else hardly a pattern fires on a given day."""
    anything = st.just(("*", frozenset(range(low, high + 1))))
    return st.one_of(anything, anything, anything, _field(low, high))


PATTERNS = st.tuples(
    _field(0, 59), _field(0, 23), _often_any(1, 31), _often_any(1, 12), _often_any(0, 6)
)
Fields = tuple[
    tuple[str, frozenset[int]], tuple[str, frozenset[int]], tuple[str, frozenset[int]],
    tuple[str, frozenset[int]], tuple[str, frozenset[int]],
]  # fmt: skip
CHANGES = (
    ("UTC", "2024-02-28T23:00"), ("Europe/Madrid", "2024-03-31T01:00"),
    ("Europe/Madrid", "2024-10-27T01:00"), ("America/New_York", "2024-03-10T07:00"),
    ("America/New_York", "2024-11-03T06:00"), ("Australia/Lord_Howe", "2024-04-06T15:00"),
    ("Australia/Lord_Howe", "2024-10-05T15:30"), ("Pacific/Apia", "2011-12-30T10:00"),
)  # fmt: skip
"""Time zones, and instants (UTC) at which their clocks were changed: by a whole day in Apia."""


def _matches_day(fields: Fields, wall: datetime) -> bool:
    (day_text, days), (week_text, week_days) = fields[2], fields[4]
    is_day, is_week_day = wall.day in days, wall.isoweekday() % 7 in week_days
    if "*" in (day_text, week_text):
        return is_day and is_week_day
    return is_day or is_week_day


def _brute(fields: Fields, zone: ZoneInfo, after: datetime, until: datetime) -> datetime | None:
    """The first time after an instant, by trying every minute of the wall clock."""
    minutes, hours, months = fields[0][1], fields[1][1], fields[3][1]
    best = None
    # Clocks were never changed by more than a day.
    wall = after.astimezone(zone).replace(tzinfo=None, second=0) - timedelta(days=1, hours=1)
    last = until.astimezone(zone).replace(tzinfo=None) + timedelta(days=1)
    while wall < last:
        if wall.month not in months or not _matches_day(fields, wall):
            wall = wall.replace(hour=0, minute=0) + timedelta(days=1)
            continue
        if wall.minute in minutes and wall.hour in hours:
            for fold in (0, 1) if len(hours) == 24 else (0,):
                local = wall.replace(tzinfo=zone, fold=fold)
                instant = local.astimezone(UTC)
                exists = instant.astimezone(zone).replace(tzinfo=None, fold=0) == wall
                if (exists or fold == 0) and instant > after and (best is None or instant < best):
                    best = instant
        wall += timedelta(minutes=1)
    return best


@settings(max_examples=100, suppress_health_check=[HealthCheck.filter_too_much])
@given(fields=PATTERNS, change=st.sampled_from(CHANGES), minutes=st.integers(-150, 150))
def test_cron_time_is_the_first_that_the_calendar_has(
    fields: Fields, change: tuple[str, str], minutes: int
) -> None:
    zone, changed_at = change
    after = datetime.fromisoformat(f"{changed_at}:00+00:00") + timedelta(minutes=minutes)
    until = after + timedelta(days=3)
    pattern = " ".join(text for text, _ in fields)
    try:
        found = cron_of(pattern, zone).next_after_ms(round(after.timestamp() * 1_000))
    except ValueError:
        assume(False)  # a date that never comes
        raise
    expected = _brute(fields, ZoneInfo(zone), after, until)

    assert found is not None
    assert found % 60_000 == 0
    if expected is not None and expected <= until:
        assert datetime.fromtimestamp(found / 1_000, UTC) == expected
    else:
        assert datetime.fromtimestamp(found / 1_000, UTC) > until
