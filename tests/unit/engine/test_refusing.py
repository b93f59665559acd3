from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from oxcart import JobOptions, JobRecord
from oxcart._engine.refusing import STARTED_TOO_OFTEN, refusal_of

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
NOON_MS = round(NOON.timestamp() * 1_000)


def refusal(limit: int | None = None, **fields: Any) -> str | None:
    options = JobOptions(expires=fields.pop("expires", None))
    record: dict[str, Any] = {"created_at_ms": NOON_MS, "processed_at_ms": NOON_MS, **fields}
    return refusal_of(JobRecord(id="1", name="work", data=None, options=options, **record), limit)


def test_ordinary_job_is_run() -> None:
    assert refusal() is None
    assert refusal(attempts_started=10_000) is None


def test_deferred_failure_goes_before_what_cannot_be_read() -> None:
    assert refusal(deferred_failure="a child failed", corruption="no data") == "a child failed"
    assert refusal(corruption="no data", expires="1ms") == "no data"


@pytest.mark.parametrize(
    ("expires", "taken_after_ms", "is_refused"),
    [
        ("1s", 999, False),
        ("1s", 1_000, True),
        ("0ms", 0, True),
        (NOON + timedelta(seconds=1), 999, False),
        (NOON + timedelta(seconds=1), 1_000, True),
        (NOON - timedelta(days=1), 0, True),
        (None, 10**12, False),
    ],
)
def test_job_expires_at_its_instant(expires: Any, taken_after_ms: int, is_refused: bool) -> None:
    reason = refusal(expires=expires, processed_at_ms=NOON_MS + taken_after_ms)

    assert is_refused == (reason is not None)


def test_reason_of_an_expired_job_says_when() -> None:
    assert refusal(expires="1s", processed_at_ms=NOON_MS + 2_500) == (
        "expired at 2026-11-24T12:00:01.000+00:00, taken at 2026-11-24T12:00:02.500+00:00"
    )
    assert "failed: no route" in str(refusal(expires="0ms", failed_reason="no route"))


def test_instants_beyond_the_calendar_are_shown_as_they_are() -> None:
    assert "taken at 1000000000000000000 ms" in str(refusal(expires="1ms", processed_at_ms=10**18))


@pytest.mark.parametrize(("started", "is_refused"), [(1, False), (3, False), (4, True)])
def test_job_started_more_often_than_the_limit_is_refused(started: int, is_refused: bool) -> None:
    expected = STARTED_TOO_OFTEN if is_refused else None

    assert expected == refusal(3, attempts_started=started)
