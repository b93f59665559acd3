"""Jobs that workers could not run: what is kept of them, and how long they are delayed."""

from __future__ import annotations

import pytest

from oxcart._model.job import JobRecord
from oxcart._model.options import PLAIN_OPTIONS
from oxcart._model.unknown import (
    LONGEST_DELAY_MS,
    SeenBy,
    UnknownJob,
    UnknownKind,
    delay_ms,
    seen_again,
)
from oxcart._wire import fields
from oxcart._wire.codec import encode_unknown, read_job

HOUR_MS = 3_600_000
OLD = SeenBy("w1", "abc")


def seen(earlier: UnknownJob | None = None, *, by: SeenBy = OLD, at: int = 0) -> UnknownJob:
    return seen_again(earlier, UnknownKind.NAME, "why", by=by, now_ms=at, attempts_made=0)


def test_first_time_is_kept_while_it_is_put_back() -> None:
    again = seen(seen(at=5), at=1_005)

    assert (5, 2) == (again.first_seen_at_ms, again.count)


def test_job_that_was_run_in_between_is_counted_anew() -> None:
    again = seen_again(seen(at=5), UnknownKind.NAME, "why", by=OLD, now_ms=9, attempts_made=1)

    assert (9, 1, 1) == (again.first_seen_at_ms, again.count, again.attempts_made)


def test_last_few_workers_are_kept_each_once() -> None:
    unknown = None
    for number in [1, 2, 3, 4, 5, 6, 3]:
        unknown = seen(unknown, by=SeenBy(f"w{number}"))

    assert unknown is not None
    assert ["w2", "w4", "w5", "w6", "w3"] == [worker.worker for worker in unknown.seen_by]


def test_delay_doubles_from_one_second_to_thirty() -> None:
    unknown, delays = seen(), []
    for _ in range(8):
        delays.append(delay_ms(unknown, now_ms=0, timeout_ms=HOUR_MS, random=lambda: 0.0))
        unknown = seen(unknown)

    assert [1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000] == delays


def test_delay_is_shortened_by_a_fifth_at_most() -> None:
    assert 800 <= delay_ms(seen(), now_ms=0, timeout_ms=HOUR_MS, random=lambda: 0.999) < 1_000


def test_job_is_not_delayed_beyond_its_time() -> None:
    assert 300 == delay_ms(seen(at=0), now_ms=700, timeout_ms=1_000, random=lambda: 0.0)


def test_delay_stays_bounded_after_any_number_of_times() -> None:
    unknown = UnknownJob(kind=UnknownKind.NAME, reason="why", first_seen_at_ms=0, count=1_000_000)

    assert LONGEST_DELAY_MS == delay_ms(unknown, now_ms=0, timeout_ms=HOUR_MS, random=lambda: 0.0)


def test_note_comes_back_as_it_was_written() -> None:
    unknown = seen(seen(), by=SeenBy("w2"))

    record = read_job("1", {fields.UNKNOWN: encode_unknown(unknown), fields.UNRUN_COUNT: b"2"})

    assert (unknown, 2) == (record.unknown, record.unrun_count)
    assert "why; put back 2 times; seen by: w1 (build abc), w2" == record.delay_reason


@pytest.mark.parametrize("note", [b"", b"{", b"[]", b'{"kind":"other"}', b"\xff"])
def test_note_that_cannot_be_read_does_not_fail_the_job(note: bytes) -> None:
    record = read_job("1", {fields.UNKNOWN: note})

    assert (None, None) == (record.unknown, record.corruption)


def test_finished_job_has_no_reason_for_its_delay() -> None:
    """A worker of another implementation ran it and left the note where it was."""
    record = JobRecord(
        id="1", name="n", data={}, options=PLAIN_OPTIONS, unknown=seen(), finished_at_ms=1
    )

    assert record.delay_reason is None
