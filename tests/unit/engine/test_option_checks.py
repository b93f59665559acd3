from __future__ import annotations

import pytest

from oxcart._engine.option_checks import stalled_limit
from oxcart._engine.queue_worker import BY_ATTEMPTS
from oxcart.errors import ConfigError


def test_limit_of_deaths_is_as_given_else_the_variable_else_1(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("OXCART_MAX_STALLED", raising=False)
    assert 1 == stalled_limit(None)

    monkeypatch.setenv("OXCART_MAX_STALLED", "attempts")
    assert BY_ATTEMPTS == stalled_limit(None)
    assert 0 == stalled_limit(0)

    monkeypatch.setenv("OXCART_MAX_STALLED", "4")
    assert 4 == stalled_limit(None)
    assert BY_ATTEMPTS == stalled_limit("attempts")


@pytest.mark.parametrize("text", ["-1", "²", "1.5", "often"])
def test_variable_that_is_no_limit_is_refused(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("OXCART_MAX_STALLED", text)

    with pytest.raises(ConfigError, match=f"OXCART_MAX_STALLED is '{text}'; it must be a whole"):
        stalled_limit(None)


def test_negative_limit_is_refused() -> None:
    with pytest.raises(ConfigError, match="max_stalled is -1; it must be a whole number of 0"):
        stalled_limit(-1)
