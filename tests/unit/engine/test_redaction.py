from __future__ import annotations

from oxcart import JsonValue
from oxcart._engine.redaction import REDACTED, redact


def test_secret_members_are_replaced_at_any_depth() -> None:
    data: JsonValue = {
        "token": "t",
        "to": "ada@example.com",
        "links": [{"token": {"deep": "t"}, "label": "x"}, [{"resetCode": 7}]],
    }

    assert redact(data, frozenset({"token", "resetCode"})) == {
        "token": REDACTED,
        "to": "ada@example.com",
        "links": [{"token": REDACTED, "label": "x"}, [{"resetCode": REDACTED}]],
    }


def test_secret_that_is_absent_shows_as_absent() -> None:
    assert redact({"token": None}, frozenset({"token"})) == {"token": None}


def test_original_is_left_as_it_is() -> None:
    data: JsonValue = {"inner": {"token": "t"}}

    redact(data, frozenset({"token"}))

    assert data == {"inner": {"token": "t"}}
