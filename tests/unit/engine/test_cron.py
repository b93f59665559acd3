"""Cron patterns, on ordinary days and on those when the clocks change."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from oxcart._model.cron import LAST_MS, Cron, cron_of, zone_of
from oxcart.errors import ConfigError

TUESDAY = "2023-11-14T22:13:20+00:00"
"""1700000000000 ms."""


def times(pattern: str, after: str = TUESDAY, *, tz: str = "UTC", count: int = 3) -> list[str]:
    """The next times of a pattern, on the wall."""
    cron, zone, told = cron_of(pattern, tz), ZoneInfo(tz), []
    at = round(datetime.fromisoformat(after).timestamp() * 1_000)
    for _ in range(count):
        found = cron.next_after_ms(at)
        assert found is not None
        at = found
        told.append(datetime.fromtimestamp(at / 1_000, zone).strftime("%m-%d %H:%M:%S"))
    return told


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("*/5 * * * *", ["11-14 22:15:00", "11-14 22:20:00", "11-14 22:25:00"]),
        ("0 */5 * * * *", ["11-14 22:15:00", "11-14 22:20:00", "11-14 22:25:00"]),
        ("*/7 * * * * *", ["11-14 22:13:21", "11-14 22:13:28", "11-14 22:13:35"]),
        ("* * * * * *", ["11-14 22:13:21", "11-14 22:13:22", "11-14 22:13:23"]),
        ("0 9 * * mon-FRI", ["11-15 09:00:00", "11-16 09:00:00", "11-17 09:00:00"]),
        ("0 0 1 JAN,feb ?", ["01-01 00:00:00", "02-01 00:00:00", "01-01 00:00:00"]),
        ("0 0 L * *", ["11-30 00:00:00", "12-31 00:00:00", "01-31 00:00:00"]),
        ("0 0 L,15 * *", ["11-15 00:00:00", "11-30 00:00:00", "12-15 00:00:00"]),
        ("0 0 * * 5L", ["11-24 00:00:00", "12-29 00:00:00", "01-26 00:00:00"]),
        ("0 0 * * friL", ["11-24 00:00:00", "12-29 00:00:00", "01-26 00:00:00"]),
        ("0 0 * * 1#2", ["12-11 00:00:00", "01-08 00:00:00", "02-12 00:00:00"]),
        ("0 12 * * 1,5L", ["11-20 12:00:00", "11-24 12:00:00", "11-27 12:00:00"]),
        ("0 0 * * 0", ["11-19 00:00:00", "11-26 00:00:00", "12-03 00:00:00"]),
        ("0 0 * * 7", ["11-19 00:00:00", "11-26 00:00:00", "12-03 00:00:00"]),
        ("0 0 * * 5-7", ["11-17 00:00:00", "11-18 00:00:00", "11-19 00:00:00"]),
        ("0 0 29 2 *", ["02-29 00:00:00", "02-29 00:00:00", "02-29 00:00:00"]),
        ("0 0 13 * 5", ["11-17 00:00:00", "11-24 00:00:00", "12-01 00:00:00"]),
        ("0 0 */2 * 1", ["11-15 00:00:00", "11-17 00:00:00", "11-19 00:00:00"]),
        ("5/20 * * * *", ["11-14 22:25:00", "11-14 22:45:00", "11-14 23:05:00"]),
        ("0 0 * 9-9/2 5", ["09-06 00:00:00", "09-13 00:00:00", "09-20 00:00:00"]),
        ("5", ["11-17 00:00:00", "11-17 00:01:00", "11-17 00:02:00"]),
        ("9 *", ["09-01 00:00:00", "09-01 00:01:00", "09-01 00:02:00"]),
        ("@hourly", ["11-14 23:00:00", "11-15 00:00:00", "11-15 01:00:00"]),
        ("@daily", ["11-15 00:00:00", "11-16 00:00:00", "11-17 00:00:00"]),
        ("@weekdays", ["11-15 00:00:00", "11-16 00:00:00", "11-17 00:00:00"]),
        ("@weekends", ["11-18 00:00:00", "11-19 00:00:00", "11-25 00:00:00"]),
        ("@minutely", ["11-14 22:14:00", "11-14 22:15:00", "11-14 22:16:00"]),
        ("@Yearly", ["01-01 00:00:00", "01-01 00:00:00", "01-01 00:00:00"]),
    ],
)
def test_pattern_fires_as_bullmq_fires_it(pattern: str, expected: list[str]) -> None:
    assert times(pattern) == expected


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("30 2 * * *", ["03-31 03:30:00", "04-01 02:30:00", "04-02 02:30:00"]),
        ("*/30 * * * *", ["03-31 00:30:00", "03-31 01:00:00", "03-31 01:30:00"]),
        ("15,45 1-3 * * *", ["03-31 01:15:00", "03-31 01:45:00", "03-31 03:15:00"]),
        ("30 */2 * * *", ["03-31 00:30:00", "03-31 03:30:00", "03-31 04:30:00"]),
    ],
)
def test_time_that_the_clock_skips_moves_on_by_what_was_skipped(
    pattern: str, expected: list[str]
) -> None:
    assert times(pattern, "2024-03-31T00:20:00+01:00", tz="Europe/Madrid") == expected


def test_time_that_comes_twice_fires_the_first_time() -> None:
    found = times("30 2 * * *", "2024-10-27T00:20:00+02:00", tz="Europe/Madrid", count=2)
    after_the_first = times("30 2 * * *", "2024-10-27T02:31:00+02:00", tz="Europe/Madrid", count=1)

    assert found == ["10-27 02:30:00", "10-28 02:30:00"]
    assert after_the_first == ["10-28 02:30:00"]


def test_pattern_of_every_hour_steps_through_the_doubled_one() -> None:
    found = times("*/30 * * * *", "2024-10-27T01:40:00+02:00", tz="Europe/Madrid", count=5)

    assert found == [
        "10-27 02:00:00", "10-27 02:30:00", "10-27 02:00:00", "10-27 02:30:00", "10-27 03:00:00",
    ]  # fmt: skip


def test_seconds_pass_evenly_over_both_changes_of_the_clock() -> None:
    cron = cron_of("* * * * * *", "Europe/Madrid")
    for around in ("2024-03-31T00:59:50+00:00", "2024-10-27T00:59:50+00:00"):
        at = round(datetime.fromisoformat(around).timestamp() * 1_000)
        for step in range(20):
            assert cron.next_after_ms(at + step * 1_000) == at + (step + 1) * 1_000


def test_time_of_another_year_is_found_beyond_many_changes_of_the_clock() -> None:
    assert times("0 3 29 2 *", tz="America/New_York") == ["02-29 03:00:00"] * 3


@pytest.mark.parametrize(
    "pattern",
    [
        "", "0 0 30 2 *", "0 0 31 2,4,6,9,11 *", "60 * * * *", "* 24 * * *", "* * 0 * *",
        "* * * 13 *", "* * * * 8", "*/0 * * * *", "5-1 * * * *", "1,,2 * * * *", "0 0 LW * *",
        "0 0 15W * *", "0 0 L-2 * *", "0 0 * * L", "0 0 * * 1#6", "0 0 * * 1#2,3", "@reboot",
        "0 0 1 1 ? 2025", "0 0 0 1 1 ? 2025", "a b c d e", "0 0 * * FRI-SUN", "H/0 * * * *",
        "H(40-20) * * * *", "-1 * * * *", "0 0 * FOO *", "nonsense",
    ],
)  # fmt: skip
def test_pattern_that_bullmq_refuses_is_refused(pattern: str) -> None:
    with pytest.raises(ConfigError, match="cron pattern is"):
        Cron(pattern, UTC)


@pytest.mark.parametrize(
    ("pattern", "told"),
    [
        ("60 * * * *", "in the minute (0 to 59), '60' is out of range"),
        ("99 0 * * * *", "in the second (0 to 59), '99' is out of range"),
        ("* 9-24 * * *", "in the hour (0 to 23), '24' is out of range"),
        ("0 0 0 * *", "in the day of month (1 to 31), '0' is out of range"),
        ("0 0 1 13 *", "in the month (1 to 12, or JAN to DEC), '13' is out of range"),
        ("0 0 * * 8L", "in the day of week (0 to 7, or SUN to SAT), '8' is out of range"),
        ("0 0 * * 9#1", "in the day of week (0 to 7, or SUN to SAT), '9' is out of range"),
        ("0 0 1 mon *", "in the month (1 to 12, or JAN to DEC), 'MON' is not understood"),
        ("0 0 * * mond", "in the day of week (0 to 7, or SUN to SAT), 'MOND' is not understood"),
        ("100 * * * *", "in the minute (0 to 59), '100' is not understood"),
        ("*/0 * * * *", "in the minute (0 to 59), '*/0' has a step of 0"),
        ("0 17-9 * * *", "in the hour (0 to 23), '17-9' ends before it begins"),
        ("0 5-0 * * *", "in the hour (0 to 23), '5-0' ends before it begins"),
        ("H(40-20) * * * *", "in the minute (0 to 59), 'H(40-20)' is an empty range"),
    ],
)
def test_refusal_names_the_field_and_its_range(pattern: str, told: str) -> None:
    with pytest.raises(ConfigError) as raised:
        Cron(pattern, UTC)

    assert str(raised.value) == f"cron pattern is {pattern!r}: {told}"


@pytest.mark.parametrize("pattern", ["0 0 30 2 *", "0 0 31 2,4,6,9,11 *"])
def test_date_that_never_comes_is_told(pattern: str) -> None:
    with pytest.raises(ConfigError, match=r"which names a date that never comes$"):
        Cron(pattern, UTC)


@pytest.mark.parametrize("pattern", ["H H * * *", "H/15 * * * *", "0 H(9-17) * * H", "H H H * * *"])
def test_hashed_value_stays_the_same_within_its_range(pattern: str) -> None:
    first, again = Cron(pattern, UTC), Cron(pattern, UTC)
    at = 1_700_000_000_000

    for _ in range(50):
        found = first.next_after_ms(at)
        assert found is not None
        assert found == again.next_after_ms(at)
        at = found
    if "9-17" in pattern:
        assert 9 <= datetime.fromtimestamp(at / 1_000, UTC).hour <= 17


def test_instant_that_no_calendar_has_is_followed_by_nothing() -> None:
    assert cron_of("* * * * *", "UTC").next_after_ms(LAST_MS) is None
    assert cron_of("* * * * *", "UTC").next_after_ms(-1) is None


@pytest.mark.parametrize("name", ["Mars/Olympus", "", "../etc/passwd", "europe madrid"])
def test_time_zone_that_nobody_knows_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="tz is"):
        zone_of(name)


def test_pattern_without_a_zone_is_on_this_machines_wall(monkeypatch: pytest.MonkeyPatch) -> None:
    cron_of.cache_clear()
    monkeypatch.setenv("TZ", "Asia/Kolkata")

    found = cron_of("0 9 * * *", None).next_after_ms(1_700_000_000_000)

    cron_of.cache_clear()
    assert found == round(datetime.fromisoformat("2023-11-15T09:00+05:30").timestamp() * 1_000)
