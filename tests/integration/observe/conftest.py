"""Sentry's SDK, started against a server of the test's own, and taken down again."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Iterator

import pytest
import sentry_sdk
from tests.integration.observe.envelopes import SentryServer, sentry_server

from oxcart import App
from oxcart.observe.sentry import init_sentry
from oxcart.observe.sentry_lines import SentryLines


@pytest.fixture
def sentry() -> Iterator[SentryServer]:
    """Where errors are reported."""
    with sentry_server() as server:
        init_sentry(server.dsn, environment="test", release="shop@1")
        try:
            yield server
        finally:
            sentry_sdk.get_client().close(timeout=5)
            sentry_sdk.get_global_scope().set_client(None)
            forget_lines()


def forget_lines() -> None:
    """Take the handlers of log lines away."""
    for logger in (logging.getLogger(), logging.getLogger("oxcart")):
        for handler in [item for item in logger.handlers if isinstance(item, SentryLines)]:
            logger.removeHandler(handler)


@pytest.fixture
async def app(valkey_url: str, prefix: str) -> AsyncIterator[App]:
    async with App(valkey_url, prefix=prefix) as opened:
        yield opened
