"""The runner's own comparison: each kind of difference is told, and tokens match what they mean."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from tests.interop.compare import differences
from tests.interop.matching import event_matches, hash_matches, matches, score_matches, text_matches
from tests.interop.snapshot import PRIVATE, Entry, Snapshot
from tests.interop.vectors import Vector

JOB = {"name": "n", "opts": '{"attempts": 0}', "timestamp": "1700000000000"}
FOUND: Snapshot = {
    "bull:q:1": Entry("hash", None, JOB),
    "bull:q:1:lock": Entry("string", 29_990, "tok-1"),
    "bull:q:delayed": Entry("zset", None, [["1", 1700000005000 * 4096.0]]),
    "bull:q:events": Entry("stream", None, [["event", "added", "jobId", "1", "name", "n"]]),
}  # fmt: skip
VECTOR = Vector(
    name="made-up",
    steps=[],
    keys={
        "bull:q:1": {
            "type": "hash",
            "ttl": False,
            "value": {"name": "n", "opts": {"$json": {"attempts": 0}}, "timestamp": "<ts>"},
        },
        "bull:q:1:lock": {"type": "string", "ttl": True, "value": "tok-1", "ttlMs": 30000},
        "bull:q:delayed": {"type": "zset", "ttl": False, "value": [["1", "<ts>*4096+0"]]},
        "bull:q:events": {"type": "stream", "ttl": False},
    },
    events={"bull:q:events": [["event", "added", "jobId", "1", "name", "n"]]},
    exact={
        "keys": {
            "bull:q:1": {
                "type": "hash",
                "ttl": False,
                "value": {"opts": '{"attempts":0}', "name": "n", "timestamp": "1700000000000"},
            },
            "bull:q:1:lock": {"type": "string", "ttl": True, "value": "tok-1"},
            "bull:q:delayed": {"type": "zset", "ttl": False, "value": [["1", "6963200020480000"]]},
        }
    },
    is_hazard=False,
)


def test_what_was_recorded_has_no_differences() -> None:
    assert differences(VECTOR, FOUND) == []


@pytest.mark.parametrize(
    ("key", "entry"),
    [
        ("bull:q:2", Entry("hash", None, {"name": "surplus"})),
        ("bull:q:1:logs", Entry("stream", None, [])),
        ("bull:q:1", Entry("hash", None, {"name": "n", "opts": '{"attempts": 0}'})),
        ("bull:q:1", Entry("hash", None, {**JOB, "more": "1"})),
        ("bull:q:1", Entry("hash", None, {**JOB, "opts": '{"attempts":1}'})),
        ("bull:q:1", Entry("hash", None, {**JOB, "opts": "{"})),
        ("bull:q:1", Entry("hash", None, {**JOB, "timestamp": "1700000000001"})),
        ("bull:q:1", Entry("hash", 10, JOB)),
        ("bull:q:1:lock", Entry("string", None, "tok-1")),
        ("bull:q:1:lock", Entry("string", 30_001, "tok-1")),
        ("bull:q:1:lock", Entry("string", 5_000, "tok-1")),
        ("bull:q:1:lock", Entry("string", 29_990, "tok-2")),
        ("bull:q:1:lock", Entry("list", 29_990, ["tok-1"])),
        ("bull:q:delayed", Entry("zset", None, [["1", 1700000005000 * 4096.0 + 1]])),
        ("bull:q:delayed", Entry("zset", None, [["2", 1700000005000 * 4096.0]])),
        ("bull:q:delayed", Entry("zset", None, [["1", 1700000005001 * 4096.0]])),
        ("bull:q:events", Entry("stream", None, [])),
        ("bull:q:events", Entry("stream", None, [["event", "added", "name", "n", "jobId", "1"]])),
    ],
)  # fmt: skip
def test_each_kind_of_difference_is_told(key: str, entry: Entry) -> None:
    assert differences(VECTOR, {**FOUND, key: entry})


def test_missing_key_is_told() -> None:
    without = {key: entry for key, entry in FOUND.items() if key != "bull:q:delayed"}

    assert "bull:q:delayed is missing" in differences(VECTOR, without)


def test_exact_values_are_compared_even_if_the_normalised_ones_match() -> None:
    later = replace(FOUND["bull:q:1"], value={**JOB, "timestamp": "1" * 13})

    told = differences(VECTOR, {**FOUND, "bull:q:1": later})

    assert len(told) == 1
    assert told[0].startswith("exact: bull:q:1 is")


def test_a_token_inside_a_keys_name_stands_for_one_key() -> None:
    recorded: Any = {"bull:q:repeat:s:<ts>": {"type": "string", "ttl": False, "value": "x"}}
    vector = replace(VECTOR, keys=recorded, events={}, exact={})
    one = {"bull:q:repeat:s:1700000000000": Entry("string", None, "x")}
    two = {**one, "bull:q:repeat:s:1700000000001": Entry("string", None, "x")}

    assert differences(vector, one) == []
    assert differences(vector, two)


@pytest.mark.parametrize(
    ("recorded", "found"),
    [
        ("<ts>", "1700000000000"),
        ("bullmq:<version>", "bullmq:oxcart-0.1.0"),
        ("repeat:s:<ts>", "repeat:s:1700000000000"),
        ("<uuid>", "123e4567-e89b-12d3-a456-426614174000"),
        ("<stack>", "Error: boom\n    at x"),
        ("a.c", "a.c"),
    ],
)
def test_text_matches_its_tokens(recorded: str, found: str) -> None:
    assert text_matches(recorded, found)


@pytest.mark.parametrize(
    ("recorded", "found"),
    [
        ("<ts>", "170000000000"),
        ("<ts>", "1700000000000.5"),
        ("bullmq:<version>", "oxcart:1"),
        ("<stack>", ""),
        ("a.c", "abc"),
        ("1", "1.0"),
    ],
)
def test_other_text_does_not_match(recorded: str, found: str) -> None:
    assert not text_matches(recorded, found)


@pytest.mark.parametrize(
    ("recorded", "found", "expected"),
    [
        ({"a": [1, "x", None]}, {"a": [1, "x", None]}, True),
        ({"a": 1}, {"a": 1, "b": 2}, False),
        ([1, 2], [2, 1], False),
        ({"delay": "<ts>"}, {"delay": 1700000000000}, True),
        (1, True, False),
        (0, False, False),
        (None, 0, False),
        (1, 1.0, True),
        ("1", 1, False),
        ({"error": -3}, "ok", False),
    ],
)
def test_parsed_values_match_by_value_and_type(recorded: Any, found: Any, expected: bool) -> None:
    assert matches(recorded, found) is expected


@pytest.mark.parametrize(
    ("recorded", "found", "expected"),
    [
        ("0", 0.0, True),
        ("<ts>", 1700000000000.0, True),
        ("<ts>", 1700000000000.25, False),
        ("<ts>+frac", 1700000000000.25, True),
        ("<ts>+frac", 1700000000000.0, False),
        ("<ts>*4096+2", 1700000000000 * 4096.0 + 2, True),
        ("<ts>*4096+2", 1700000000000 * 4096.0 + 3, False),
        ("4294967297", 4294967297.0, True),
    ],
)
def test_scores_match_their_form(recorded: str, found: float, expected: bool) -> None:
    assert score_matches(recorded, found) is expected


def test_json_fields_of_a_hash_are_compared_parsed_and_the_others_as_text() -> None:
    assert hash_matches({"data": '{"a":1,"b":2}'}, {"data": '{"b": 2, "a": 1}'})
    assert not hash_matches({"data": '{"a":1}'}, {"data": '{"a":2}'})
    assert not hash_matches({"failedReason": '{"a":1}'}, {"failedReason": '{"a": 1}'})


def test_an_events_json_is_compared_parsed_and_must_be_json() -> None:
    recorded = ["event", "completed", "jobId", "1", "returnvalue", '{"r":1}', "prev", "active"]

    assert event_matches(recorded, [*recorded[:5], '{"r": 1}', *recorded[6:]])
    assert not event_matches(recorded, [*recorded[:5], "{r: 1}", *recorded[6:]])
    assert not event_matches(recorded, recorded[:6])


@pytest.mark.parametrize(
    ("key", "is_private"),
    [
        ("bull:q:oxcart:add-1", True),
        ("bull:q:oxcart:step-x", True),
        ("bull:q:oxcart", False),
        ("bull:q:1:oxcart:x", False),
    ],
)
def test_only_oxcarts_own_keys_are_left_out(key: str, is_private: bool) -> None:
    assert (PRIVATE.fullmatch(key) is not None) is is_private
