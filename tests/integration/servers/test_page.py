"""What the documentation says about servers is true."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from oxcart._store.address import Address, Kind
from oxcart.settings import Settings

PAGE = (Path(__file__).parents[3] / "docs/how-to/redis-servers.md").read_text(encoding="utf-8")
URLS = sorted(set(re.findall(r"`((?:rediss?|unix)[+a-z]*://[^`\s]+)`", PAGE)))
PROGRAMS = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("url", [url for url in URLS if not url.endswith("://")])
def test_every_url_is_understood(url: str) -> None:
    settings = Settings.from_env({"REDIS_URL": url})

    assert url == settings.redis_url
    assert Address.parse(url).kind is (
        Kind.CLUSTER if "+cluster" in url else Kind.SENTINEL if "+sentinel" in url else Kind.SINGLE
    )


def test_every_kind_has_a_url() -> None:
    assert set(Kind) == {Address.parse(url).kind for url in URLS if not url.endswith("://")}


@pytest.mark.parametrize("program", PROGRAMS)
def test_programs_are_accepted(program: str) -> None:
    exec(compile(program, "redis-servers.md", "exec"), {})  # noqa: S102  # the page's own
