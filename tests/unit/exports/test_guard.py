from __future__ import annotations

import pytest

from oxcart.exports.writers.guard import guarded

# ruff: noqa: RUF001  # the look-alike signs are what is tested


@pytest.mark.parametrize(
    "text",
    [
        "=1+1",
        "+1",
        "-1",
        "@SUM(A1)",
        "=cmd|' /C calc'!A0",
        "\t=1",
        "\r=1",
        "\n=1",
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
    ["", " ", "plain", "a=b", "1-2", "'=1", '"=1"', "Zoë 🧬", "null", "0", "(1)", "[]", "…-1"],
)
def test_other_text_stays_as_it_is(text: str) -> None:
    assert guarded(text) == text


def test_guarded_text_needs_no_second_guard() -> None:
    assert guarded(guarded("=1")) == guarded("=1")
