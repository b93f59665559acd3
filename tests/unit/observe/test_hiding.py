"""Secrets are hidden by their names, beside their names in texts, and in URLs."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oxcart import App
from oxcart.observe import hiding
from oxcart.observe.hiding import Hider
from oxcart.observe.job_secrets import hide_secrets_of
from oxcart.observe.redaction import TOO_DEEP
from oxcart.observe.secret_names import REDACTED
from oxcart.observe.secret_texts import MAX_TEXT_CHARS, SecretTexts


@pytest.mark.parametrize(
    "name",
    [
        "password", "smtp_password", "SMTP_PASSWORD", "token", "accessToken", "reset_code",
        "resetCode", "Authorization", "x-api-key", "set-cookie", "client_secret", "signature",
        "clientSecret", "newPassword", "auth_token", "privateKey", "session", "smtp_pass", "pass",
    ],
)  # fmt: skip
def test_key_that_ends_in_a_secret_name_is_secret(name: str) -> None:
    assert {name: REDACTED} == Hider().value({name: "x"})


@pytest.mark.parametrize(
    "name", ["queue", "tokens_used", "passenger", "bypass", "sessions", "author", "event"]
)
def test_key_that_only_looks_like_one_is_shown(name: str) -> None:
    assert {name: "x"} == Hider().value({name: "x"})


def test_whether_there_is_a_secret_is_no_secret() -> None:
    shown = Hider().value({"token": None, "password": False, "secret": 0})

    assert {"token": None, "password": False, "secret": REDACTED} == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("redis://:hunter2@cache/0", "redis://[redacted]@cache/0"),
        ("postgresql://u:p@ss@db/x", "postgresql://[redacted]@db/x"),
        ("https://club.example/a@b", "https://club.example/a@b"),
        ("/reset?token=abc&page=2", "/reset?token=[redacted]&page=2"),
        ("https://x.example/f?expires=1&signature=abc", "https://x.example/f?expires=1&signature=[redacted]"),
        ("{'token': 'a b', 'n': 1}", "{'token': [redacted], 'n': 1}"),
        ('{"resetCode": "a\\"b"}', '{"resetCode": [redacted]}'),
        ("Mail(to='ada', reset_code='x1')", "Mail(to='ada', reset_code=[redacted])"),
        ("sent Authorization: Basic dTpw", "sent Authorization: [redacted]"),
        ("Cookie: a=b; c=d\r\nHost: x", "Cookie: [redacted]\r\nHost: x"),
        ("with Bearer abc.def-ghi", "with Bearer [redacted]"),
        ("invalid token: it has expired", "invalid token: it has expired"),
        ("log-in with password: hunter2 failed", "log-in with password: [redacted] failed"),
        ("smtp_pass=hunter2, n=1", "smtp_pass=[redacted], n=1"),
        ("token: 8f3a9c", "token: [redacted]"),
        ("privateKey: 'a b'", "privateKey: [redacted]"),
        ("1redis://:hunter2@cache", "1redis://[redacted]@cache"),
        ('cut off: {"token": "abc', 'cut off: {"token": [redacted]'),
        ("nothing at all", "nothing at all"),
    ],
)  # fmt: skip
def test_secret_in_a_text_is_hidden_and_the_rest_kept(text: str, shown: str) -> None:
    assert shown == Hider().text(text)


def test_hiding_twice_changes_nothing_more() -> None:
    hider = Hider()
    once = hider.text("password: a token=b redis://u:p@h 'secret': 'c'")

    assert once == hider.text(once)


@pytest.mark.parametrize(
    "secret",
    ["redis://u:" + "hunter2" * 99, "token='" + "hunter2" * 99, "password: " + "hunter2" * 99],
)
def test_long_text_is_cut_and_half_a_secret_at_the_cut_is_hidden(secret: str) -> None:
    padding = "x " * ((MAX_TEXT_CHARS - 50) // 2)

    shown = Hider().text(f"{padding}{secret}@host" + "y" * MAX_TEXT_CHARS)

    assert "hunter2" not in shown
    assert len(shown) < MAX_TEXT_CHARS + 100


HOSTILE_TEXTS: dict[str, Callable[[int], str]] = {
    "letters after a URL": lambda n: "://" + "a" * n,
    "letters before a URL": lambda n: "a" * n + "://x",
    "slashes": lambda n: "://" * (n // 3),
    "log-ins": lambda n: "://a@" * (n // 5),
    "open quotes": lambda n: 'token="' * (n // 7),
    "backslashes": lambda n: 'token="' + "\\" * n,
    "open quotes before line ends": lambda n: 'token="\\\n' * (n // 9),
    "blanks": lambda n: "x:password" + " " * n,
    "line ends": lambda n: "cookie:" + "\n" * n,
    "bearers": lambda n: "=Bearer " * (n // 8),
    "names": lambda n: "password:" * (n // 9),
    "values": lambda n: "token: a" * (n // 8),
}


@pytest.mark.parametrize("name", HOSTILE_TEXTS)
def test_time_to_hide_secrets_grows_no_faster_than_the_text(name: str) -> None:
    """Twice the text takes twice the time; a pattern that backtracks takes four times as long."""
    texts = SecretTexts()
    short, long = HOSTILE_TEXTS[name](4_000), HOSTILE_TEXTS[name](16 * 4_000)

    assert _least_seconds(texts, long) < 16 * 4 * _least_seconds(texts, short)


def _least_seconds(texts: SecretTexts, text: str) -> float:
    """The least of several measurements, in seconds of this thread's own processor time."""
    taken = []
    for _ in range(5):
        started = time.thread_time()
        texts.hide(text)
        taken.append(time.thread_time() - started)
    return max(min(taken), 20e-6)


def test_names_that_are_declared_are_hidden_in_keys_and_texts() -> None:
    hider = Hider(frozenset({"taxNumber"}))

    assert {"tax_number": REDACTED} == hider.value({"tax_number": 1})
    assert "tax-number=[redacted] x" == hider.text("tax-number=12/34 x")


def test_secrets_that_the_jobs_of_an_application_declare_are_hidden(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(hiding, "_active", Hider())
    app = App("redis://127.0.0.1:1")

    @app.job(secrets=frozenset({"iban"}))
    async def pay(iban: str) -> None: ...

    assert not hiding.hider().is_secret("iban")
    hide_secrets_of(app)
    hide_secrets_of(App("redis://127.0.0.1:1"))  # forgets nothing

    assert hiding.hider().is_secret("iban")


def test_values_that_json_cannot_hold_are_shown_as_text() -> None:
    @dataclass
    class Login:
        user: str
        password: str

    at = datetime(2026, 1, 2, tzinfo=UTC)
    shown = Hider().value([Login("ada", "hunter2"), Path("a/b"), at, b"x", float("inf"), {1: (2,)}])

    assert "password=[redacted]" in shown[0]
    assert ["a/b", "2026-01-02 00:00:00+00:00", "b'x'", "inf", {"1": [2]}] == shown[1:]


def test_value_without_end_is_cut() -> None:
    endless: list[Any] = []
    endless.append(endless)

    assert TOO_DEEP in str(Hider().value(endless))


@given(st.text(), st.text(min_size=1))
def test_any_text_is_taken(name: str, text: str) -> None:
    shown = Hider(frozenset({name})).value({name: text, "other": text})

    assert isinstance(shown, dict)
