"""What a body may hold."""

from __future__ import annotations

import pytest

from oxcart.http.body import MAX_DEPTH, parse_json
from oxcart.http.problems import Kind, ProblemError


def nested(levels: int) -> bytes:
    return b"[" * levels + b"]" * levels


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        (b'{"a": [1, 2.5, null, true, "\\u00e9"]}', {"a": [1, 2.5, None, True, "é"]}),
        (' {"name": "Zoë 🎓"} '.encode(), {"name": "Zoë 🎓"}),
        (b'"\\ud83c\\udf93"', "🎓"),
        (b'{"__proto__": 1}', {"__proto__": 1}),
    ],
)
def test_json_is_read(raw: bytes, value: object) -> None:
    assert value == parse_json(raw)


def test_nesting_up_to_the_limit_is_read() -> None:
    parse_json(nested(MAX_DEPTH))


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b" \n", id="blank"),
        pytest.param(b"{", id="unfinished"),
        pytest.param(b"{} {}", id="two values"),
        pytest.param(b"{'a': 1}", id="single quotes"),
        pytest.param(b'{"a": NaN}', id="NaN"),
        pytest.param(b'{"a": -Infinity}', id="infinity"),
        pytest.param(b'{"a": 1, "a": 2}', id="same name twice"),
        pytest.param(b'{"a": "\\u0000"}', id="NUL"),
        pytest.param(b'{"\\u0000": 1}', id="NUL in a name"),
        pytest.param(b'{"a": "\x00"}', id="bare NUL"),
        pytest.param(b'{"a": ["\\ud800"]}', id="lone surrogate"),
        pytest.param(b'{"\\udfff": 1}', id="lone surrogate in a name"),
        pytest.param(b'"\xed\xa0\x80"', id="surrogate in bytes"),
        pytest.param(b'{"a": "\xff"}', id="not UTF-8"),
        pytest.param('{"a": 1}'.encode("utf-16"), id="UTF-16"),
        pytest.param(b"\xef\xbb\xbf{}", id="byte order mark"),
        pytest.param(b"1" * 5000, id="long number"),
        pytest.param(nested(MAX_DEPTH + 1), id="just too deep"),
        pytest.param(nested(100_000), id="100,000 levels"),
        pytest.param(b'{"a":' * 100_000 + b"1" + b"}" * 100_000, id="100,000 objects"),
        pytest.param(b"[" * 500_000, id="unfinished and deep"),
    ],
)
def test_anything_else_is_a_bad_request(raw: bytes) -> None:
    with pytest.raises(ProblemError) as caught:
        parse_json(raw)

    assert Kind.INVALID_JSON is caught.value.problem.kind
