from __future__ import annotations

import os
from pathlib import Path

import pytest
import redis


@pytest.fixture
def reader(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, valkey_url: str) -> Path:
    """A reader's environment: an empty folder, and an empty database of the server's."""
    for name in os.environ:
        if name.startswith("OXCART_"):
            monkeypatch.delenv(name)
    url = valkey_url.removesuffix("/0") + "/1"
    with redis.Redis.from_url(url) as client:
        client.flushdb()
    monkeypatch.setenv("REDIS_URL", url)
    monkeypatch.chdir(tmp_path)
    return tmp_path
