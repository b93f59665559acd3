from __future__ import annotations

import pytest

from oxcart._wire.events import EventName, QueueEvent, read_event


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        (
            {b"event": b"added", b"jobId": b"1", b"name": b"n"},
            QueueEvent(id="5-0", name="added", job_id="1", data={"name": "n"}),
        ),
        ({b"event": b"paused"}, QueueEvent(id="5-0", name="paused")),
        (
            {b"event": b"completed", b"jobId": b"1", b"returnvalue": b'{"a":1}', b"prev": b"x"},
            QueueEvent(
                id="5-0", name="completed", job_id="1", data={"returnvalue": {"a": 1}, "prev": "x"}
            ),
        ),
        (
            {b"event": b"progress", b"jobId": b"1", b"data": b"42"},
            QueueEvent(id="5-0", name="progress", job_id="1", data={"data": 42}),
        ),
        (
            {b"event": b"delayed", b"jobId": b"1", b"delay": b"1700000005000"},
            QueueEvent(id="5-0", name="delayed", job_id="1", data={"delay": 1700000005000}),
        ),
        (
            {b"event": b"failed", b"jobId": b"1", b"failedReason": b'{"not":"parsed"}'},
            QueueEvent(
                id="5-0", name="failed", job_id="1", data={"failedReason": '{"not":"parsed"}'}
            ),
        ),
        (
            {b"event": b"mine", b"data": b"[1]"},
            QueueEvent(id="5-0", name="mine", data={"data": "[1]"}),
        ),
    ],
)  # fmt: skip
def test_entry_is_read_with_its_values(fields: dict[bytes, bytes], expected: QueueEvent) -> None:
    assert read_event(b"5-0", fields) == expected


@pytest.mark.parametrize(
    ("fields", "key", "expected"),
    [
        ({b"event": b"completed", b"returnvalue": b"{"}, "returnvalue", "{"),
        ({b"event": b"progress", b"data": b"\xff"}, "data", "�"),
        ({b"event": b"delayed", b"delay": b"soon"}, "delay", "soon"),
        ({b"event": b"delayed", b"delay": b"inf"}, "delay", "inf"),
        ({b"event": b"delayed", b"delay": b"1.5"}, "delay", 1),
    ],
)
def test_unreadable_value_is_given_as_text_and_stops_nobody(
    fields: dict[bytes, bytes], key: str, expected: object
) -> None:
    assert read_event(b"1-1", fields).data[key] == expected


def test_entry_without_a_name_or_with_an_unknown_one_is_carried_through() -> None:
    assert read_event(b"1-1", {b"x": b"y"}) == QueueEvent(id="1-1", name="", data={"x": "y"})
    assert read_event(b"1-1", {b"event": b"\xff"}).name == "�"


def test_names_are_bullmqs() -> None:
    assert {name.value for name in EventName} == {
        "added", "waiting", "delayed", "waiting-children", "active", "completed", "failed",
        "retries-exhausted", "stalled", "progress", "duplicated", "deduplicated", "removed",
        "cleaned", "drained", "paused", "resumed",
    }  # fmt: skip
