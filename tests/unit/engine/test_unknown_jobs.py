"""Deciding about jobs that a worker cannot run, and logging them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from oxcart._engine.unknown_jobs import UnknownJobs, unknown_job_timeout_ms
from oxcart._model.job import JobRecord
from oxcart._model.options import PLAIN_OPTIONS
from oxcart._model.outcome import Failure, PutBack
from oxcart._model.unknown import SeenBy, UnknownJob, UnknownKind
from oxcart._wire import fields
from oxcart._wire.codec import read_job
from oxcart.errors import ConfigError, PayloadError

JOB = JobRecord(id="1", name="new", data={}, options=PLAIN_OPTIONS, processed_at_ms=10_000)


class Time:
    """Seconds that pass when the test says so."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


def made(timeout_ms: int = 60_000, *, monotonic: Any = None) -> UnknownJobs:
    return UnknownJobs(
        "q",
        timeout_ms=timeout_ms,
        seen_by=SeenBy("w1", "abc"),
        random=lambda: 0.0,
        monotonic=monotonic or Time(),
    )


def test_job_is_put_back_with_a_note() -> None:
    outcome = made().decide(JOB, UnknownKind.NAME, "why")

    assert isinstance(outcome, PutBack)
    assert 1_000 == outcome.delay_ms
    assert (
        UnknownJob(
            kind=UnknownKind.NAME,
            reason="why",
            first_seen_at_ms=10_000,
            count=1,
            seen_by=(SeenBy("w1", "abc"),),
        )
        == read_job("1", {fields.UNKNOWN: outcome.note}).unknown
    )


def test_job_fails_when_its_time_is_over_and_names_the_workers() -> None:
    seen_by = (SeenBy("w0"), SeenBy("w1", "abc"))
    unknown = UnknownJob(
        kind=UnknownKind.NAME, reason="x", first_seen_at_ms=0, count=7, seen_by=seen_by
    )
    job = replace(JOB, processed_at_ms=60_000, unknown=unknown)

    failure = made().decide(job, UnknownKind.NAME, "why")

    assert isinstance(failure, Failure)
    assert failure.is_permanent
    assert (
        "why; put back 7 times in 60 s and not taken by a worker that knows it; "
        "seen by: w0, w1 (build abc)" == failure.reason
    )


def test_without_a_time_it_fails_at_once() -> None:
    error = PayloadError("why")

    failure = made(timeout_ms=0).decide(JOB, UnknownKind.PAYLOAD, "why", error)

    assert isinstance(failure, Failure)
    assert ("why", True, error) == (failure.reason, failure.is_permanent, failure.error)


def test_one_line_a_name_and_minute_with_the_count(caplog: pytest.LogCaptureFixture) -> None:
    now = Time()
    unknown_jobs = made(monotonic=now)
    for seconds in (0, 10, 20, 61):
        now.now = 1_000.0 + seconds
        unknown_jobs.decide(JOB, UnknownKind.NAME, "why")
    unknown_jobs.decide(replace(JOB, name="other"), UnknownKind.PAYLOAD, "why not")

    assert [
        "job.unknown_name queue=q name=new job_id=1 count=1 build=abc fails_after_s=60: why",
        "job.unknown_name queue=q name=new job_id=1 count=3 build=abc fails_after_s=60: why",
        "job.payload_mismatch queue=q name=other job_id=1 count=1 build=abc fails_after_s=60: "
        "why not",
    ] == caplog.messages


def test_names_counted_apart_are_bounded(caplog: pytest.LogCaptureFixture) -> None:
    unknown_jobs = made()
    for number in range(2_500):
        unknown_jobs.decide(replace(JOB, name=f"n{number}"), UnknownKind.NAME, "why")

    assert 2_500 == len(caplog.messages)
    assert len(unknown_jobs._counted) <= 1_000  # what must not grow


def test_time_is_six_hours_unless_said_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OXCART_UNKNOWN_JOB_SECONDS", raising=False)
    assert 6 * 3_600_000 == unknown_job_timeout_ms(None)

    monkeypatch.setenv("OXCART_UNKNOWN_JOB_SECONDS", "90")
    assert 90_000 == unknown_job_timeout_ms(None)
    assert 0 == unknown_job_timeout_ms("0s")


def test_variable_that_is_not_a_number_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OXCART_UNKNOWN_JOB_SECONDS", "6h")

    with pytest.raises(ConfigError, match="OXCART_UNKNOWN_JOB_SECONDS is '6h'"):
        unknown_job_timeout_ms(None)
