"""The webhooks of the built-in system: made from the settings, and what they say of exports."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from oxcart.database.types import ExportStatus
from oxcart.webhooks.addresses import AddressPolicy
from oxcart.webhooks.endpoints import parse_endpoints
from oxcart.webhooks.job_events import WatchedQueue
from oxcart.webhooks.outbox import WebhookEvent, WebhookOutbox, iso
from oxcart.webhooks.schedule import DEFAULT_WAITS, RetrySchedule
from oxcart.webhooks.service import Webhooks

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Connection

    from oxcart.app import App
    from oxcart.database.engine import Database
    from oxcart.exports.records import ExportRecord
    from oxcart.settings import Settings


def open_webhooks(settings: Settings, app: App, database: Database) -> Webhooks:
    """The webhooks that the settings ask for.

    Raises:
        ConfigError: an endpoint, a secret or a host is not valid.
    """
    policy = AddressPolicy.parse(
        settings.webhook_allowed_hosts, is_development=not settings.is_production
    )
    endpoints = parse_endpoints(
        settings.webhook_endpoints, settings.webhook_secrets, settings.webhook_events
    )
    for endpoint in endpoints:
        endpoint.check(policy)
    return Webhooks(
        app,
        database,
        endpoints,
        policy,
        schedule=RetrySchedule.parse(settings.webhook_waits or DEFAULT_WAITS),
        watched=WatchedQueue.parse_all(settings.webhook_jobs),
        keep=timedelta(days=settings.webhook_keep_days),
    )


def reporter(outbox: WebhookOutbox) -> Callable[[Connection, ExportRecord], None]:
    """Return a function that writes the end of an export into the outbox."""

    def report(connection: Connection, record: ExportRecord) -> None:
        outbox.write(connection, export_event(record))

    return report


def export_event(record: ExportRecord) -> WebhookEvent:
    """The event of an export that has ended.

    The file's URL is the one without a signature: whoever reads the message needs a log-in or a key
    to open it.
    """
    is_completed = record.status is ExportStatus.COMPLETED
    optional = {
        "fileUrl": record.file_url,
        "rows": record.rows,
        "bytes": record.size_bytes,
        "sha256": record.sha256,
        "error": record.error,
    }
    return WebhookEvent(
        type="export.completed" if is_completed else "export.failed",
        data={
            "id": record.id,
            "jobId": record.id,
            "queue": "export",
            "type": record.type,
            "userId": record.user_id,
            "status": record.status.value,
            "createdAt": iso(record.created_at),
            "completedAt": None if record.completed_at is None else iso(record.completed_at),
            **{name: value for name, value in optional.items() if value is not None},
        },
        occurred_at=record.completed_at,
    )
