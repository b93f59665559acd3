from __future__ import annotations

import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from oxcart.exports.writers.guard import guarded, unguarded

# ruff: noqa: RUF001  # the look-alike signs are what is tested


@pytest.mark.parametrize(
    "text",
    [
        "=1+1",
        "+1",
        "-1",
        "@SUM(A1)",
        "=cmd|' /C calc'!A0",
        "\x00=1",
        "\tindented",
        "  =1",
        "\u00a0=1",
        "\u3000=1",
        "\ufeff=1",
        "\u200b=1",
        "＝1",
        "＋1",
        "－1",
        "＠A1",
        "﹦1",
        " \n text",
        "=",
    ],
)
def test_text_that_a_spreadsheet_would_run_gets_an_apostrophe(text: str) -> None:
    assert guarded(text) == "'" + text


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "plain",
        "a=b",
        "1-2",
        '"=1"',
        "a, =1",
        "a: -1",
        "two\nlines",
        "a; b",
        "Zoë 🧬",
        "null",
        "0",
        "(1)",
        "[]",
        "…-1",
    ],
)
def test_other_text_stays_as_it_is(text: str) -> None:
    assert guarded(text) == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("x;=1", "x;'=1"),
        ("x\t=1\t-2", "x\t'=1\t'-2"),
        ("x|@A1", "x|'@A1"),
        ("- one\r\n- two\n- three\r+", "'- one\r\n'- two\n'- three\r'+"),
        ("x; \u200b=1", "x;' \u200b=1"),
        ('x;"=1"', 'x;\'"=1"'),
        ("x;＝1", "x;'＝1"),
        ("'=1", "''=1"),
        ("\t=1", "'\t'=1"),
        ("\r=1", "'\r'=1"),
        ("\n=1", "'\n'=1"),
    ],
)
def test_sign_after_what_may_separate_cells_gets_one_too(text: str, expected: str) -> None:
    assert guarded(text) == expected


@given(st.text(st.sampled_from("';|\t\r\n\x00\" =+-@＝ \u200bab"), max_size=12))
@example("'=1")
@example("\r'\n=")
@example("a;\t=1")
def test_guard_can_be_undone_exactly(text: str) -> None:
    assert unguarded(guarded(text)) == text


@pytest.mark.parametrize("text", ["\n" * 300_000, ";'" * 150_000 + "x", "\t" * 300_000 + "="])
def test_long_texts_take_no_long_time(text: str) -> None:
    """A quadratic pattern would take minutes."""
    started = time.process_time()
    guarded(text)

    assert time.process_time() - started < 2
