"""Schedules: what they refuse, and the slots of intervals."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from oxcart import Schedule
from oxcart._model.schedule import SchedulerInfo, Slot, check_scheduler_id, looks_legacy
from oxcart.errors import ConfigError

NOW = 1_700_000_000_000
MINUTE = 60_000
AT = datetime.fromtimestamp(NOW / 1_000, UTC)
HOUR = timedelta(hours=1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"interval": "0s"}, "interval is '0s'"),
        ({"interval": "soon"}, "interval is 'soon'"),
        ({"interval": timedelta(days=-1)}, "interval is"),
        ({"interval": "1m", "offset": "1m"}, "offset is '1m'"),
        ({"interval": "1m", "offset": "1s", "start": AT}, "offset cannot"),
        ({"interval": "1m", "offset": "1s", "immediately": True}, "offset cannot"),
        ({"interval": "1m", "tz": "UTC"}, "tz can only"),
        ({"interval": "1m", "start": AT.replace(tzinfo=None)}, "start is .* no time zone"),
        ({"interval": "1m", "end": AT.replace(tzinfo=None)}, "end is .* no time zone"),
        ({"interval": "1m", "start": AT, "end": AT}, "end is .* not after start"),
        ({"interval": "1m", "start": AT, "immediately": True}, "immediately cannot"),
        ({"interval": "1m", "limit": 0}, "limit is 0"),
        ({"interval": "1m", "limit": True}, "limit is True"),
        ({"interval": "1m", "pattern": "@daily"}, "either an interval or a cron pattern"),
        ({}, "either an interval or a cron pattern"),
        ({"pattern": "@daily", "offset": "1s"}, "offset cannot"),
        ({"pattern": "@daily", "tz": "Nowhere"}, "tz is 'Nowhere'"),
        ({"pattern": "never"}, "cron pattern is 'never'"),
    ],
)
def test_option_that_cannot_work_is_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Schedule(**options)


def test_cron_pattern_is_in_utc_unless_told() -> None:
    assert Schedule.cron("0 9 * * *").tz == "UTC"
    assert Schedule.cron("0 9 * * *", tz=None).tz is None


def test_schedules_say_their_next_time() -> None:
    madrid = Schedule.cron("0 9 * * *", tz="Europe/Madrid")

    assert madrid.next_after(AT) == datetime.fromisoformat("2023-11-15T09:00+01:00")
    assert Schedule.every("1m", offset="5s").next_after(AT) == AT + timedelta(seconds=45)
    assert Schedule.every("1m", start=AT + HOUR).next_after(AT) == AT + HOUR
    assert Schedule.every("1m", start=AT + HOUR, end=AT + 2 * HOUR).next_after(AT) == AT + HOUR


def test_schedule_that_is_over_has_no_next_time() -> None:
    assert Schedule.cron("@hourly", end=AT + timedelta(minutes=1)).next_after(AT) is None
    assert Schedule.every("1m", end=AT).next_after(AT) is None


def test_start_may_be_a_time_of_the_pattern() -> None:
    start = datetime(2024, 1, 1, 9, tzinfo=UTC)

    assert Schedule.cron("0 9 * * *", start=start).next_after(AT) == start


def test_first_slot_is_now_or_at_the_start_or_at_the_offset() -> None:
    assert Slot.first(NOW, MINUTE) == Slot(NOW, 20_000)
    assert Slot.first(NOW, MINUTE, start=NOW + 7) == Slot(NOW + 7, 20_007)
    assert Slot.first(NOW, MINUTE, start=NOW - 7) == Slot(NOW, 20_000)
    assert Slot.first(NOW, MINUTE, offset=7_000) == Slot(NOW + 47_000, 7_000)
    assert Slot.first(NOW, MINUTE, offset=20_000) == Slot(NOW + MINUTE, 20_000)
    assert Slot.first(NOW, MINUTE, offset=21_000) == Slot(NOW + 1_000, 21_000)


def test_following_slot_is_an_interval_on_or_the_next_that_is_not_over() -> None:
    on_time = Slot.following(NOW + 1, MINUTE, previous_ms=NOW, offset=20_000)
    late = Slot.following(NOW + 200_002, MINUTE, previous_ms=NOW + MINUTE, offset=20_000)
    just_now = Slot.following(NOW + MINUTE, MINUTE, previous_ms=NOW, offset=20_000)

    assert on_time == Slot(NOW + MINUTE, 20_000)
    assert late == Slot(NOW + 240_000, 20_000)
    assert just_now == Slot(NOW + MINUTE, 20_000)


@pytest.mark.parametrize(
    "scheduler_id",
    [
        "", "x" * 201, "a\nb", "name:id:1700000000000:UTC:60000", "name::::60000", "n:i::UTC:0 9 *",
        "sch:1700000000000", "a:1700000000000:b",
    ],
)  # fmt: skip
def test_id_that_could_be_taken_for_something_else_is_refused(scheduler_id: str) -> None:
    with pytest.raises(ConfigError, match="scheduler id"):
        check_scheduler_id(scheduler_id)


@pytest.mark.parametrize(
    "scheduler_id", ["sch", "mail:daily", "user:42:digest", "a:b:c:d:e", "a:b:x:d:60000", "daß ☂"]
)
def test_id_may_hold_colons(scheduler_id: str) -> None:
    assert check_scheduler_id(scheduler_id) == scheduler_id


def test_legacy_ids_are_known() -> None:
    assert looks_legacy("f533ac4ee9cc0c1487f815c9476e8091")
    assert looks_legacy("name:::UTC:0 9 * * *")
    assert not looks_legacy("sch")


def test_info_tells_its_next_time_as_an_instant() -> None:
    assert SchedulerInfo(id="s", name="n", next_at_ms=NOW).next_at == AT
    assert SchedulerInfo(id="s", name="n", next_at_ms=2**60).next_at.year == 9999
