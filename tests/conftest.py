"""What every suite shares: a real Valkey, a prefix a test, and waiting without sleeping."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator

import pytest
import redis

from tests.support import ValkeyServer


@pytest.fixture(scope="session")
def valkey_url() -> Iterator[str]:
    """The URL of a real Valkey for the whole session."""
    server = ValkeyServer()
    server.start()
    yield server.url
    server.remove()


@pytest.fixture
def prefix() -> str:
    """A key prefix that no other test uses."""
    return f"t{uuid.uuid4().hex[:12]}"


@pytest.fixture
def valkey(valkey_url: str) -> Iterator[redis.Redis]:
    """A plain client, to look at what stands in the server."""
    client = redis.Redis.from_url(valkey_url)
    yield client
    client.close()


@pytest.fixture
def own_valkey() -> Iterator[ValkeyServer]:
    """A Valkey of the test's own, with an append-only file, to be killed and restarted."""
    server = ValkeyServer(is_durable=True)
    server.start()
    yield server
    server.remove()


# In CI a skipped test is a failure: a suite that needs something must have it there.
_skipped: list[str] = []


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Note every test that was skipped."""
    if report.skipped and isinstance(report.longrepr, tuple):
        _skipped.append(f"{report.nodeid}: {report.longrepr[2]}")


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail the run in CI if a test was skipped."""
    if os.environ.get("CI") and _skipped and not hasattr(session.config, "workerinput"):
        print("\nskipped in CI, which counts as failed:", *_skipped, sep="\n  ")  # noqa: T201
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
