"""Values as people see them: hosts can be read, passwords cannot."""

from __future__ import annotations

import pytest

from oxcart._settings.values import HIDDEN, mask_url, shown


@pytest.mark.parametrize(
    ("url", "masked"),
    [
        ("redis://some.example:6379/0", "redis://some.example:6379/0"),
        ("redis://:s3cret@some.example", "redis://:***@some.example"),
        ("redis://club:s3cret@some.example", "redis://club:***@some.example"),
        ("redis://s3cret@some.example", "redis://***@some.example"),
        ("redis://:s3/c@ret@some.example/1", "redis://:***@some.example/1"),
        (
            "redis+sentinel://:s3cret@a:1,b:2/main?sentinel_password=s3cret&x=1",
            "redis+sentinel://:***@a:1,b:2/main?sentinel_password=***&x=1",
        ),
        ("postgresql://club@/club?host=/run", "postgresql://club@/club?host=/run"),
        ("postgresql+psycopg://club:s3cret@h/club", "postgresql+psycopg://club:***@h/club"),
        (
            "postgresql://h/club?user=club&password=s3cret&sslmode=require",
            "postgresql://h/club?user=club&password=***&sslmode=require",
        ),
        ("postgresql://h/club?user=club&password=s3c@ret", "postgresql://***"),
        ("postgresql://c:s3cret@h/club?password=s3c@ret", "postgresql://c:***@h/club?password=***"),
        ("https://s3cret@sentry.example/7", "https://***@sentry.example/7"),
        ("sqlite:////data/club.db", "sqlite:////data/club.db"),
        ("no url", "no url"),
    ],
)
def test_password_of_a_url_is_masked(url: str, masked: str) -> None:
    assert mask_url(url) == masked


@pytest.mark.parametrize(
    ("value", "is_secret", "text"),
    [
        (None, True, ""),
        ((), True, ""),
        ("s3cret", True, HIDDEN),
        (("s3cret", "other"), True, "***,***"),
        (("a=https://u:s3cret@h/q", "b"), False, "a=https://u:***@h/q,b"),
        (587, False, "587"),
        ("postgresql://u:s3cret@h/d", True, "postgresql://u:***@h/d"),
        ("postgresql:/u:s3cret@h/d", True, HIDDEN),
    ],
)
def test_secret_is_not_shown(value: object, *, is_secret: bool, text: str) -> None:
    assert shown(value, is_secret=is_secret) == text
