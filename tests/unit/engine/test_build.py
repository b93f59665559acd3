"""The build string of a worker."""

from __future__ import annotations

import pytest

from oxcart import App, Worker
from oxcart._engine.build import build_of
from oxcart.errors import ConfigError

SHA = "0123456789abcdef0123456789abcdef01234567"


def test_given_build_wins_over_the_environment() -> None:
    assert "2.1" == build_of("2.1", {"OXCART_BUILD": "2.0"})


def test_own_variable_wins_over_those_of_platforms() -> None:
    assert "2.0" == build_of(None, {"RENDER_GIT_COMMIT": SHA, "OXCART_BUILD": " 2.0 "})


def test_commit_named_by_a_platform_is_shortened() -> None:
    assert SHA[:12] == build_of(None, {"OXCART_BUILD": "", "RENDER_GIT_COMMIT": SHA})


def test_without_any_it_is_empty() -> None:
    assert "" == build_of(None, {})


def test_empty_text_says_that_there_is_none() -> None:
    assert "" == build_of("", {"OXCART_BUILD": "2.0"})


@pytest.mark.parametrize("build", ["a\nb", "x" * 65])
def test_build_that_cannot_be_shown_is_refused(build: str) -> None:
    with pytest.raises(ConfigError, match="OXCART_BUILD is"):
        build_of(None, {"OXCART_BUILD": build})


def test_workers_have_the_build(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OXCART_BUILD", "7")
    app = App("redis://127.0.0.1:1", build="8")

    @app.job
    def run() -> None: ...

    assert "8" == app.worker().build
    assert "7" == Worker("default", lambda _: None, redis_url="redis://127.0.0.1:1").build
