from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from oxcart._model.duration import Duration, to_ms, to_seconds
from oxcart.errors import ConfigError


@pytest.mark.parametrize(
    ("duration", "expected"),
    [
        ("500ms", 500),
        ("10s", 10_000),
        ("5m", 300_000),
        ("2h", 7_200_000),
        ("7d", 604_800_000),
        ("2w", 1_209_600_000),
        ("1h30m", 5_400_000),
        ("1.5s", 1_500),
        ("0s", 0),
        (timedelta(milliseconds=1), 1),
        (timedelta(days=1), 86_400_000),
        (timedelta(microseconds=499), 0),
    ],
)
def test_duration_is_counted_in_milliseconds(duration: Duration, expected: int) -> None:
    assert to_ms(duration) == expected


def test_seconds_keep_their_fraction() -> None:
    assert to_seconds("1500ms") == 1.5


@pytest.mark.parametrize(
    "duration",
    [
        "",
        "10",
        "s",
        "10 s",
        "-5s",
        "5S",
        "1h-3m",
        "ten seconds",
        "5y",
        "1e3s",
        "10s\n",
        "٣s ",
        "∞s",
    ],
)
def test_text_without_a_number_and_a_known_unit_is_refused_by_name(duration: str) -> None:
    with pytest.raises(ConfigError, match="the pause is"):
        to_ms(duration, what="the pause")


@pytest.mark.parametrize("duration", [30, 2.5, None, True, b"5s", ["5s"]])
def test_bare_number_and_other_types_are_refused(duration: Any) -> None:
    with pytest.raises(ConfigError, match="write a timedelta or text with units"):
        to_ms(duration)


def test_negative_timedelta_is_refused() -> None:
    with pytest.raises(ConfigError, match="negative"):
        to_ms(timedelta(seconds=-1))
