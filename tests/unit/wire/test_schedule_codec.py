"""Schedulers' definitions and their jobs' options, ours and those that anybody may have written."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from oxcart import Backoff, JobOptions, Retention, Schedule, exponential, fixed
from oxcart._wire.schedule_codec import (
    definition_fields,
    encode_template,
    first_options,
    next_options,
    read_repeat,
    read_scheduler,
    template_text,
)
from oxcart.errors import ConfigError

AT = datetime.fromtimestamp(1_700_000_100, UTC)


def whole(head: bytes) -> Any:
    """The options as they are once a script has written their end."""
    return json.loads(head + b'7","timestamp":1,"delay":2}')


def test_first_options_are_the_template_and_the_schedule() -> None:
    template = encode_template(JobOptions(attempts=3, log_limit=5), prefix="bull")
    schedule = Schedule.cron("@daily", tz="UTC", limit=9, end=AT)

    assert whole(first_options(template, schedule, 'a"b')) == {
        "attempts": 3, "kl": 5, "repeatJobKey": 'a"b', "jobId": 'repeat:a"b:7', "timestamp": 1,
        "delay": 2,
        "repeat": {
            "pattern": "@daily", "tz": "UTC", "limit": 9, "endDate": 1_700_000_100_000, "count": 1,
        },
    }  # fmt: skip


def test_next_options_are_those_of_the_job_before_but_for_what_is_its_own() -> None:
    before = {
        "repeat": {"every": 60_000, "count": 4, "extra": "kept"}, "repeatJobKey": "sch", "de": None,
        "jobId": "repeat:sch:1", "timestamp": 5, "delay": 6, "prevMillis": 7, "foreign": [1, []],
    }  # fmt: skip

    assert whole(next_options(read_repeat(json.dumps(before).encode()), "sch")) == {
        "attempts": 0, "repeat": {"every": 60_000, "count": 5, "extra": "kept"},
        "repeatJobKey": "sch", "foreign": [1, []], "jobId": "repeat:sch:7", "timestamp": 1,
        "delay": 2,
    }  # fmt: skip


def test_template_has_what_bullmq_has_in_one() -> None:
    assert template_text(encode_template(JobOptions(attempts=0), prefix="bull")) == b""
    assert encode_template(
        JobOptions(attempts=3, backoff=fixed("1s"), keep_completed=Retention.NONE), prefix="bull"
    ) == {"attempts": 3, "backoff": 1_000, "removeOnComplete": True}
    assert encode_template(JobOptions(backoff=exponential("1s")), prefix="bull")["backoff"] == {
        "type": "exponential",
        "delay": 1_000,
    }
    jittered = JobOptions(backoff=Backoff(kind="fixed", delay_ms=5, jitter=0.5))
    assert encode_template(jittered, prefix="bull")["backoff"]["jitter"] == 0.5


@pytest.mark.parametrize(
    "schedule",
    [
        Schedule.every("90s"),
        Schedule.every("90s", offset="1s", limit=3),
        Schedule.every("90s", start=AT),
        Schedule.cron("*/5 * * * *", tz="Europe/Madrid", start=AT, limit=1),
        Schedule.cron("@daily", tz=None),
    ],
)
def test_schedule_comes_back_as_it_was(schedule: Schedule) -> None:
    fields: dict[str, Any] = {**definition_fields(schedule), "ic": 1, "name": "n"}
    if schedule.offset_ms:
        fields["offset"] = schedule.offset_ms
    raw = {name.encode(): str(value).encode() for name, value in fields.items()}

    read = read_scheduler("s", b"1700000000000", raw)

    assert read.problem is None
    assert read.schedule is not None
    assert definition_fields(read.schedule) == definition_fields(schedule)
    assert read.schedule.offset_ms == schedule.offset_ms
    assert (read.next_at_ms, read.iterations, read.is_legacy) == (1_700_000_000_000, 1, False)


@pytest.mark.parametrize(
    ("raw", "problem"),
    [
        ({}, "neither an interval nor a cron pattern"),
        ({b"every": b"soon"}, "neither an interval"),
        ({b"every": b"-5"}, "neither an interval"),
        ({b"every": b"1e400"}, "neither an interval"),
        ({b"every": b"9007199254740991"}, "interval is"),
        ({b"pattern": b"bogus"}, "cron pattern is 'bogus'"),
        ({b"pattern": b"@daily", b"tz": b"Nowhere"}, "tz is 'Nowhere'"),
        ({b"pattern": b"\xff\xfe"}, "cron pattern is"),
        ({b"every": b"1000", b"data": b"{broken"}, "the scheduler's data is not readable"),
        ({b"every": b"1000", b"opts": b"[]"}, "opts are not a readable JSON object"),
    ],
)
def test_what_cannot_be_read_is_told(raw: dict[bytes, bytes], problem: str) -> None:
    read = read_scheduler("s", b"nonsense", {b"name": b"n", b"ic": b"x", **raw})

    assert problem in (read.problem or "")
    assert (read.name, read.next_at_ms, read.iterations) == ("n", 0, 0)


def test_what_does_not_go_together_is_read_as_far_as_it_goes() -> None:
    raw = {b"every": b"60000", b"offset": b"90000", b"startDate": b"5", b"endDate": b"3"}

    read = read_scheduler("s", b"inf", raw)

    assert read.problem is None
    assert read.schedule is not None
    assert (read.schedule.start_ms, read.schedule.end, read.offset_ms) == (5, None, 90_000)
    assert read.is_legacy


@pytest.mark.parametrize(
    "options",
    [
        b"",
        b"[]",
        b"{}",
        b'{"repeat":7}',
        b'{"repeat":{}}',
        b'{"repeat":{"pattern":"x y"}}',
        b"\xff",
    ],
)
def test_options_without_a_schedule_are_refused(options: bytes) -> None:
    with pytest.raises(ConfigError):
        read_repeat(options)
