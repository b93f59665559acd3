"""Reporting errors to Sentry: what a program calls.

``init_sentry`` starts the SDK in a way that sends no payload; a program that has started it by
``sentry_sdk.init`` may keep that. ``report_jobs`` then reports each job that fails for good, once.
The SDK (``pip install "oxcart[sentry]"``) is imported when one of them is called.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from oxcart.errors import ConfigError

if TYPE_CHECKING:
    from oxcart import App

FLUSH_S = 2.0
"""How long the end of a program waits for reports that are still to be sent."""
_KEPT_BREADCRUMBS = 50


def init_sentry(
    dsn: str, *, environment: str, release: str | None = None, sample_rate: float = 1.0
) -> None:
    """Start Sentry's SDK so that it reports errors, and nothing that a payload may hold.

    No integration is switched on by itself: those for Redis, SQL and HTTP would record payloads,
    and take time from every job.

    Args:
        dsn: where errors are reported.
        environment: what Sentry calls this deployment.
        release: what Sentry calls this version.
        sample_rate: which part of the errors is reported.

    Raises:
        ConfigError: the SDK is not installed, or the DSN is none.
    """
    sdk = _sdk("SENTRY_DSN is set")
    from sentry_sdk.integrations.dedupe import DedupeIntegration
    from sentry_sdk.integrations.threading import ThreadingIntegration
    from sentry_sdk.utils import BadDsn

    from oxcart.observe.sentry_events import hide_in_event
    from oxcart.observe.sentry_lines import watch_lines

    try:
        sdk.init(
            dsn=dsn,
            environment=environment,
            release=release,
            sample_rate=sample_rate,
            default_integrations=False,
            auto_enabling_integrations=False,
            integrations=[DedupeIntegration(), ThreadingIntegration(propagate_scope=False)],
            include_local_variables=False,
            max_request_body_size="never",
            max_breadcrumbs=_KEPT_BREADCRUMBS,
            before_send=lambda event, _: hide_in_event(event),
        )
    except BadDsn as error:
        raise ConfigError(f"SENTRY_DSN (hidden) is no DSN: {error}") from None
    watch_lines(logging.getLogger())


def report_jobs(app: App) -> None:
    """Report each job of an application that fails for good, once, with its last error.

    Call it before the worker is made; calling it again does nothing. It reports as well what the
    worker itself logs as an error. Nothing is sent while the SDK is not started.

    Raises:
        ConfigError: the SDK is not installed.
    """
    _sdk("report_jobs() was called")
    from oxcart.observe.sentry_jobs import JobReports

    JobReports.of(app)


def flush_reports(timeout_s: float = FLUSH_S) -> None:
    """Send what is still to be sent, for at most so long; a program does so before it ends."""
    if is_reporting():
        sys.modules["sentry_sdk"].flush(timeout=timeout_s)


def is_reporting() -> bool:
    """Whether errors are reported; imports nothing."""
    sdk: Any = sys.modules.get("sentry_sdk")
    return sdk is not None and bool(sdk.get_client().is_active())


@contextmanager
def reporting_crashes() -> Iterator[None]:
    """Report the error that ends a program, and send what is left to be sent at its end."""
    try:
        yield
    except Exception as error:
        # A wrong setting is told to whoever started the program.
        if is_reporting() and not _is_only(ConfigError, error):
            sys.modules["sentry_sdk"].capture_exception(error)
        raise
    finally:
        if is_reporting():
            sys.modules["sentry_sdk"].get_client().close(timeout=FLUSH_S)


def _is_only(kind: type[Exception], error: Exception) -> bool:
    if isinstance(error, ExceptionGroup):
        return all(_is_only(kind, inner) for inner in error.exceptions)
    return isinstance(error, kind)


def _sdk(why: str) -> Any:
    try:
        import sentry_sdk
    except ImportError as error:
        raise ConfigError(
            f"{why}, but sentry-sdk is not installed; pip install 'oxcart[sentry]', "
            "or unset SENTRY_DSN"
        ) from error
    return sentry_sdk
