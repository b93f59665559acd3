from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec
import pytest

from oxcart import JobOptions
from oxcart._wire.codec import (
    decode_json,
    decode_json_or_text,
    encode_json,
    encode_stacktrace,
    encode_text,
    pairs,
    read_job,
)
from oxcart.errors import PayloadError


class Payload(msgspec.Struct, rename="camel"):
    user_name: str


@dataclass
class Point:
    x: int


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "null"),
        ({}, "{}"),
        ([], "[]"),
        ({"a": [1, 2.5, None, True, "é☃"]}, '{"a":[1,2.5,null,true,"é☃"]}'),
        ("\x00\u2028", '"\\u0000\u2028"'),
        (2**53, "9007199254740992"),
        (Payload("ada"), '{"userName":"ada"}'),
        (Point(1), '{"x":1}'),
        ("</script>", '"</script>"'),
    ],
)
def test_json_is_written_compact(value: object, text: str) -> None:
    assert encode_json(value, what="the data").decode() == text


def endless() -> list[Any]:
    items: list[Any] = []
    items.append(items)
    return items


@pytest.mark.parametrize(
    "value",
    [
        float("nan"),
        {"deep": [1, {"a": float("inf")}]},
        [None, -float("inf")],
        object(),
        "\ud800",
        {"\udfff": 1},
        {(1, 2): 3},
        endless(),
        1j,
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_json_cannot_hold_is_refused_by_name(value: object) -> None:
    with pytest.raises(PayloadError, match=r"^the data "):
        encode_json(value, what="the data")


def test_null_beside_finite_numbers_is_no_reason_to_refuse() -> None:
    assert encode_json({"null": None, "n": 1.5}, what="the data") == b'{"null":null,"n":1.5}'


@pytest.mark.parametrize(
    "text",
    [
        b"", b"{", b"nul", b"NaN", b"Infinity", b"'a'", b"[1,]", b"1 2", b"\xff", b'"\xff"',
        b"[" * 100_000, b'{"a":' * 100_000, b'"\\ud800', b"1" * 5_000, b"1e999",
    ],
    ids=lambda text: text[:12],
)  # fmt: skip
def test_unreadable_json_is_a_payload_error_and_no_other(text: bytes) -> None:
    with pytest.raises(PayloadError, match=r"^the data is not readable JSON"):
        decode_json(text, what="the data")


def test_half_of_a_surrogate_pair_is_read_as_node_writes_it_in_utf8() -> None:
    """``JSON.stringify`` escapes it, such as an emoji that was cut in the middle."""
    text = rb'{"cut":"x\ud83d","low":"\uDE00x","whole":"\ud83d\ude00","escaped":"\\ud83d"}'

    assert decode_json(text, what="data") == {
        "cut": "x\ufffd",
        "low": "\ufffdx",
        "whole": "\U0001f600",
        "escaped": "\\ud83d",
    }
    with pytest.raises(PayloadError, match="data is not readable JSON"):
        decode_json(rb'{"cut":"x\ud83d"', what="data")


def test_fields_that_node_tolerates_unreadable_are_given_as_text() -> None:
    assert decode_json_or_text(b'{"a":1}') == {"a": 1}
    assert decode_json_or_text(b"plain \xff") == "plain �"


@pytest.mark.parametrize(
    ("limit", "expected"),
    [
        (None, b'["a","b","new"]'),
        (0, b"[]"),
        (1, b'["new"]'),
        (2, b'["b","new"]'),
        (9, b'["a","b","new"]'),
    ],
)
def test_stacktrace_keeps_the_last_traces(limit: int | None, expected: bytes) -> None:
    assert encode_stacktrace(("a", "b"), "new", limit) == expected


def test_text_that_utf8_cannot_hold_is_refused_by_name() -> None:
    assert encode_text("é", what="the name") == b"\xc3\xa9"
    with pytest.raises(PayloadError, match=r"^the name cannot be written"):
        encode_text("\ud800", what="the name")


def test_pairs_take_the_last_value_of_a_field() -> None:
    assert pairs([b"a", b"1", b"b", b"2", b"a", b"3"]) == {b"a": b"3", b"b": b"2"}


def test_job_of_a_full_hash_has_every_field() -> None:
    record = read_job(
        "7",
        {
            b"name": b"n", b"data": b'{"a":1}', b"opts": b'{"attempts":3}', b"timestamp": b"11",
            b"delay": b"12", b"priority": b"13", b"atm": b"1", b"ats": b"2", b"stc": b"3",
            b"processedOn": b"14", b"finishedOn": b"15", b"progress": b"50",
            b"returnvalue": b"[1]", b"failedReason": b"boom", b"stacktrace": b'["t"]',
            b"pb": b"w1", b"parentKey": b"bull:p:1", b"rjk": b"s", b"deid": b"d", b"defa": b"why",
        },
    )  # fmt: skip

    assert record.options == JobOptions(attempts=3)
    assert (record.id, record.name, record.data) == ("7", "n", {"a": 1})
    assert (record.created_at_ms, record.delay_ms, record.priority) == (11, 12, 13)
    assert (record.attempts_made, record.attempts_started, record.stalled_count) == (1, 2, 3)
    assert (record.processed_at_ms, record.finished_at_ms) == (14, 15)
    assert (record.progress, record.return_value, record.failed_reason) == (50, [1], "boom")
    assert (record.stacktrace, record.processed_by) == (("t",), "w1")
    assert (record.parent_key, record.scheduler_id) == ("bull:p:1", "s")
    assert (record.deduplication_id, record.deferred_failure) == ("d", "why")
    assert record.corruption is None


def test_job_of_an_empty_hash_has_bullmqs_defaults() -> None:
    record = read_job("1", {})

    assert (record.name, record.data, record.progress) == ("", {}, 0)
    assert record.options == JobOptions(attempts=0)
    assert record.options.max_attempts == 1
    assert (record.processed_at_ms, record.return_value, record.corruption) == (None, None, None)


@pytest.mark.parametrize("field", [b"data", b"opts", b"progress"])
def test_what_node_must_be_able_to_read_is_told_if_it_cannot_be(field: bytes) -> None:
    record = read_job("1", {b"name": b"n", field: b"{"})

    assert field.decode() in str(record.corruption)
    assert (record.data, record.progress) == ({}, 0)


def test_every_unreadable_field_is_told() -> None:
    record = read_job("1", {b"data": b"\xff", b"opts": b"[]", b"progress": b"["})

    assert str(record.corruption).count(";") == 2


@pytest.mark.parametrize("text", [b"x", b"", b"nan", b"inf", b"1e999", b"9" * 5_000, b"\xff"])
def test_number_that_is_none_counts_as_missing(text: bytes) -> None:
    names = (b"timestamp", b"delay", b"priority", b"atm", b"processedOn")
    fields = dict.fromkeys(names, text)

    record = read_job("1", fields)

    assert (record.created_at_ms, record.delay_ms, record.attempts_made) == (0, 0, 0)
    assert record.processed_at_ms is None


def test_number_with_a_fraction_is_cut() -> None:
    assert read_job("1", {b"delay": b"1500.9", b"timestamp": b"1.7e12"}).delay_ms == 1_500


def test_attempts_of_old_releases_are_preferred() -> None:
    assert read_job("1", {b"attemptsMade": b"4", b"atm": b"2"}).attempts_made == 4


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"", ()),
        (b"[]", ()),
        (b'["a","b"]', ("a", "b")),
        (b"not json", ("not json",)),
        (b'"one"', ('"one"',)),
        (b"[1]", ("[1]",)),
        (b"\xff", ("�",)),
    ],
)
def test_unreadable_stacktrace_is_given_as_one_trace(
    text: bytes, expected: tuple[str, ...]
) -> None:
    record = read_job("1", {b"stacktrace": text})

    assert (record.stacktrace, record.corruption) == (expected, None)
