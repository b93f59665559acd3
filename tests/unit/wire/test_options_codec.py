from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from oxcart import Backoff, JobOptions, Retention
from oxcart._model.clock import epoch_ms
from oxcart._wire.options_codec import (
    MAX_AGE_S,
    MAX_ATTEMPTS,
    MAX_NUMBER,
    approximate_delay_ms,
    decode_options,
    encode_options,
)

INSTANT = datetime(2023, 11, 14, 22, 13, 20, 123_000, tzinfo=UTC)


@pytest.mark.parametrize(
    ("options", "wire"),
    [
        ({}, {}),
        ({"attempts": 0}, {"attempts": 0}),
        ({"attempts": 5}, {"attempts": 5}),
        ({"job_id": "own"}, {"jobId": "own"}),
        ({"delay": "5s"}, {"delay": 5_000}),
        ({"delay": timedelta(milliseconds=1)}, {"delay": 1}),
        ({"priority": 3}, {"priority": 3}),
        ({"priority": 0, "lifo": False}, {}),
        ({"lifo": True}, {"lifo": True}),
        (
            {"backoff": Backoff(kind="fixed", delay_ms=250)},
            {"backoff": {"type": "fixed", "delay": 250}},
        ),
        (
            {"backoff": Backoff(kind="exponential", delay_ms=9, jitter=0.5)},
            {"backoff": {"type": "exponential", "delay": 9, "jitter": 0.5}},
        ),
        ({"keep_completed": Retention.NONE}, {"removeOnComplete": True}),
        ({"keep_completed": Retention.ALL}, {"removeOnComplete": False}),
        ({"keep_completed": Retention(count=7)}, {"removeOnComplete": 7}),
        ({"keep_failed": Retention(age="1m")}, {"removeOnFail": {"age": 60}}),
        ({"keep_failed": Retention(age="10ms")}, {"removeOnFail": {"age": 1}}),
        (
            {"keep_failed": Retention(count=7, age="1m")},
            {"removeOnFail": {"age": 60, "count": 7}},
        ),
        ({"keep_failed": Retention(count=0, age="1m")}, {"removeOnFail": True}),
        ({"timestamp": INSTANT}, {"timestamp": 1_700_000_000_123}),
        ({"stacktrace_limit": 0}, {"stackTraceLimit": 0}),
        ({"size_limit": 9}, {"sizeLimit": 9}),
        ({"log_limit": 2}, {"kl": 2}),
    ],
)
def test_options_are_written_by_bullmqs_names(options: dict[str, Any], wire: Any) -> None:
    assert json.loads(encode_options(JobOptions(**options), prefix="bull")) == {
        "attempts": 1,
        **wire,
    }


def test_no_option_is_ever_written_as_null() -> None:
    assert b"null" not in encode_options(JobOptions(), prefix="bull")


@pytest.mark.parametrize(
    "options",
    [
        JobOptions(attempts=0),
        JobOptions(attempts=3, priority=4, lifo=True),
        JobOptions(backoff=Backoff(kind="exponential", delay_ms=5, jitter=0.25)),
        JobOptions(keep_completed=Retention.NONE, keep_failed=Retention(count=4, age="90s")),
        JobOptions(stacktrace_limit=0, size_limit=0, log_limit=0),
    ],
)
def test_what_a_worker_needs_comes_back(options: JobOptions) -> None:
    assert decode_options(encode_options(options, prefix="bull")) == (options, None)


@pytest.mark.parametrize(
    ("wire", "expected"),
    [
        ({}, JobOptions(attempts=0)),
        ({"attempts": None, "removeOnComplete": None, "backoff": None}, JobOptions(attempts=0)),
        ({"attempts": "3"}, JobOptions(attempts=0)),
        ({"attempts": True}, JobOptions(attempts=0)),
        ({"attempts": -1}, JobOptions(attempts=0)),
        ({"attempts": 2.0}, JobOptions(attempts=2)),
        ({"attempts": 1e300}, JobOptions(attempts=MAX_ATTEMPTS)),
        ({"unknown": {"a": 1}, "attempts": 2}, JobOptions(attempts=2)),
        ({"attempts": 3, "kl": -1, "stackTraceLimit": -1}, JobOptions(attempts=3)),
        ({"priority": 1e300}, JobOptions(attempts=0, priority=2_097_151)),
        ({"lifo": 1}, JobOptions(attempts=0)),
        ({"backoff": 250}, JobOptions(attempts=0, backoff=Backoff(kind="fixed", delay_ms=250))),
        ({"backoff": -5}, JobOptions(attempts=0, backoff=Backoff(kind="fixed", delay_ms=0))),
        ({"backoff": True}, JobOptions(attempts=0)),
        ({"backoff": {"type": 7}}, JobOptions(attempts=0)),
        ({"backoff": {"type": ["fixed"]}}, JobOptions(attempts=0)),
        (
            {"backoff": {"type": "fixed", "delay": "x", "jitter": 7}},
            JobOptions(attempts=0, backoff=Backoff(kind="fixed", delay_ms=0)),
        ),
        (
            {"backoff": {"type": "fixed", "delay": 1e300, "jitter": True}},
            JobOptions(attempts=0, backoff=Backoff(kind="fixed", delay_ms=MAX_NUMBER)),
        ),
        ({"removeOnComplete": -1}, JobOptions(attempts=0, keep_completed=Retention.ALL)),
        ({"removeOnComplete": 0}, JobOptions(attempts=0, keep_completed=Retention.NONE)),
        (
            {"removeOnComplete": {"age": 1e300, "count": 1e300}},
            JobOptions(attempts=0, keep_completed=Retention(count=MAX_NUMBER, age=f"{MAX_AGE_S}s")),
        ),
        (
            {"removeOnComplete": {"age": -3, "count": "4", "limit": 0}},
            JobOptions(attempts=0, keep_completed=Retention.ALL),
        ),
        ({"removeOnFail": "yes"}, JobOptions(attempts=0)),
    ],
)
def test_values_that_make_no_sense_are_passed_over(wire: Any, expected: JobOptions) -> None:
    assert decode_options(json.dumps(wire).encode()) == (expected, None)


def test_ages_of_any_size_can_be_sent() -> None:
    options, _ = decode_options(b'{"removeOnFail":{"age":1e300}}')

    assert options.keep_failed is not None
    assert options.keep_failed.age_seconds == MAX_AGE_S


@pytest.mark.parametrize("text", [b"[]", b"1", b"{", b"\xff", b"null", b'{"a":' * 100_000])
def test_text_that_is_no_object_is_told(text: bytes) -> None:
    options, problem = decode_options(text)

    assert options == JobOptions(attempts=0)
    assert str(problem).startswith("the job's opts are not a readable JSON object")


def test_missing_options_are_the_defaults() -> None:
    assert decode_options(b"") == (JobOptions(attempts=0), None)


@pytest.mark.parametrize("ms", [0, 1, 1_700_000_000_123, 1_700_000_000_999, 2_000_000_000_001])
def test_instants_keep_their_milliseconds(ms: int) -> None:
    assert epoch_ms(datetime.fromtimestamp(ms / 1_000, UTC)) == ms


def test_delay_until_an_instant_in_the_past_shows_as_none() -> None:
    assert approximate_delay_ms(INSTANT) == 0


def test_delay_until_an_instant_shows_what_is_left() -> None:
    in_an_hour = datetime.now(UTC) + timedelta(hours=1)

    assert 3_590_000 < approximate_delay_ms(in_an_hour) <= 3_600_000
