"""No secret of a job is shown, wherever it is repeated."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oxcart.observe.redaction import TOO_DEEP, Redactor
from oxcart.observe.secret_names import REDACTED

TOKEN = "tok+en/<1&2>\"é'🎓"


@pytest.mark.parametrize(
    "name",
    [
        "token", "Token", "resetCode", "reset_code", "RESET-CODE", "password", "api_key",
        "clientSecret", "newPassword", "auth_token", "privateKey", "session", "smtp_pass",
    ],
)  # fmt: skip
def test_value_of_a_secret_name_is_hidden_at_any_depth(name: str) -> None:
    data = {"a": [{"b": {name: "s3cret-value", "kept": 1}}]}

    shown = Redactor(data).shown(data)

    assert {"a": [{"b": {name: REDACTED, "kept": 1}}]} == shown


def test_names_that_the_job_marks_are_secret_too() -> None:
    data = {"iban": "DE02120300000000202051", "note": "kept"}

    assert Redactor(data, {"iban"}).shown(data) == {"iban": REDACTED, "note": "kept"}


def test_secret_in_a_text_of_the_status_is_hidden_by_its_place() -> None:
    data = {
        "credentials": {"pass": "pw-of-the-server"},
        "url": "postgresql://ada:hunter2@db/club",
        "note": "log in with password: hunter3",
    }

    shown = json.dumps(Redactor(data).shown({**data, "error": "refused pw-of-the-server"}))

    for secret in ("hunter2", "hunter3", "pw-of-the-server"):
        assert secret not in shown


def test_signed_link_of_a_result_can_be_used() -> None:
    link = "https://api.example/api/exports/e1/file?expires=1&signature=abc"

    assert link == Redactor({}).shown(link)


def test_whole_object_under_a_secret_name_is_hidden_with_its_leaves() -> None:
    data = {"secret": {"parts": ["first-part", {"x": "second-part"}]}}
    redactor = Redactor(data)

    assert redactor.shown(data) == {"secret": REDACTED}
    assert f"{REDACTED} and {REDACTED}" == redactor.shown("first-part and second-part")


@pytest.mark.parametrize(
    "text",
    [
        f"mail to {TOKEN} failed",
        f"GET /verify?token={quote_plus(TOKEN)} gave 500",
        f"body was {json.dumps({'token': TOKEN})}",
        f"KeyError: {TOKEN!r}",
        "<a href='?token=tok+en/&lt;1&amp;2&gt;&quot;é&#x27;🎓'>",
    ],
)
def test_secret_repeated_in_a_text_is_hidden_also_when_escaped(text: str) -> None:
    shown = Redactor({"token": TOKEN}).shown(text)

    assert REDACTED in shown
    assert "en/" not in shown
    assert "1&2" not in shown


def test_secret_is_hidden_in_names_lists_and_numbers() -> None:
    redactor = Redactor({"resetCode": 123456})

    shown = redactor.shown({"123456": [123456, "code 123456", 7, True, None]})

    assert {REDACTED: [REDACTED, f"code {REDACTED}", 7, True, None]} == shown


def test_short_secret_is_hidden_only_as_the_whole_text() -> None:
    redactor = Redactor({"token": "a"})

    assert redactor.shown(["a", "banana"]) == ["[redacted]", "banana"]


def test_long_text_beside_very_many_secrets_is_hidden_unsearched() -> None:
    data = {"secret": [f"{number:05d}-secret" for number in range(2_000)], "note": "short"}
    redactor = Redactor(data)

    assert redactor.shown("x" * 60_000) == REDACTED
    assert redactor.shown("see 00007-secret") == f"see {REDACTED}"


def test_longer_secret_wins_over_one_that_it_contains() -> None:
    redactor = Redactor({"token": "abcd", "secret": "abcdefgh"})

    assert redactor.shown("abcdefgh") == REDACTED


@pytest.mark.parametrize("data", [None, 5, 0.5, "text", [], {}, {"token": None}, {"a": "token"}])
def test_data_without_secrets_is_shown_as_it_is(data: Any) -> None:
    assert data == Redactor(data).shown(data)


def test_nesting_without_end_is_cut_and_its_secrets_still_found() -> None:
    data: Any = {"token": "deep-secret"}
    for _ in range(50_000):
        data = [data]
    redactor = Redactor(data)

    assert TOO_DEEP in json.dumps(redactor.shown(data))
    assert redactor.shown("deep-secret") == REDACTED


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["token", "a", "b"]), inner, max_size=3)
    ),
    max_leaves=20,
)


@given(data=json_values, canary=st.text(alphabet="QXZ", min_size=8, max_size=12))
def test_a_secret_is_never_in_what_is_shown(data: Any, canary: str) -> None:
    payload = {"token": canary, "more": data, "copy": [canary, f"see {canary}!"]}

    shown = json.dumps(Redactor(payload).shown(payload))

    assert canary not in shown
