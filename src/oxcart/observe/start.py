"""What a program's start does for its logs and error reports, by the settings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from oxcart import __version__
from oxcart.observe.job_secrets import hide_secrets_of
from oxcart.observe.logs import configure_logs
from oxcart.observe.sentry import init_sentry, is_reporting, report_jobs

if TYPE_CHECKING:
    from oxcart import App
    from oxcart.settings import Settings


def start_observing(settings: Settings) -> None:
    """Start logging, and reporting errors where ``SENTRY_DSN`` is set.

    Raises:
        ConfigError: ``SENTRY_DSN`` is set and cannot be used.
    """
    configure_logs(level=settings.log_level, as_json=settings.logs_as_json)
    if settings.sentry_dsn is not None:
        init_sentry(
            settings.sentry_dsn,
            environment=settings.sentry_environment or settings.env,
            release=settings.sentry_release or f"oxcart@{__version__}",
            sample_rate=settings.sentry_sample_rate,
        )


def observe_jobs(app: App) -> None:
    """Hide the secrets of an application's jobs, and report those that fail; before its worker."""
    hide_secrets_of(app)
    if is_reporting():
        report_jobs(app)
