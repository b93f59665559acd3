"""The outbox: messages written in the transaction that makes them true.

A message and a delivery for each endpoint that wants it are rows, committed together with the
change that they report. The relay queues the deliveries afterwards, so that neither a crash nor an
absent Redis loses a message.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from sqlalchemy import select

from oxcart.webhooks import tables
from oxcart.webhooks.states import DeliveryState

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from oxcart import JsonValue
    from oxcart.webhooks.endpoints import Endpoints


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookEvent:
    """An event that endpoints are informed of.

    Attributes:
        type: its type, such as ``export.completed``.
        data: what the message says about it.
        occurred_at: when it happened; default: now.
        id: the message's id; default: a new one. A second message of the same id is not written.
    """

    type: str
    data: Mapping[str, JsonValue]
    occurred_at: datetime | None = None
    id: str | None = None


class WebhookOutbox:
    """Writes messages for the endpoints that want them.

    Args:
        endpoints: the receivers.
    """

    def __init__(self, endpoints: Endpoints) -> None:
        self._endpoints = endpoints

    def write(self, connection: Connection, event: WebhookEvent) -> str | None:
        """Write a message and its deliveries in the connection's transaction.

        With an asynchronous connection: ``await connection.run_sync(outbox.write, event)``.

        Returns:
            The message's id, or ``None`` when no endpoint wants the event or the message was
            written before.
        """
        wanting = self._endpoints.wanting(event.type)
        if not wanting:
            return None
        now = datetime.now(UTC)
        message_id = event.id or f"msg_{secrets.token_hex(16)}"
        if event.id is not None and _is_written(connection, message_id):
            return None
        connection.execute(
            tables.message.insert().values(
                id=message_id, type=event.type, body=_body_of(event, now), created_at=now
            )
        )
        connection.execute(
            tables.delivery.insert(),
            [
                {
                    "id": f"dlv_{secrets.token_hex(16)}",
                    "message_id": message_id,
                    "endpoint": endpoint.name,
                    "state": DeliveryState.PENDING.value,
                    "round": 1,
                    "attempts": 0,
                    "due_at": now,
                    "created_at": now,
                }
                for endpoint in wanting
            ],
        )
        return message_id


def iso(moment: datetime) -> str:
    """Write an instant as JavaScript's ``toISOString`` does."""
    text = moment.astimezone(UTC).isoformat(timespec="milliseconds")
    return text.removesuffix("+00:00") + "Z"


def _is_written(connection: Connection, message_id: str) -> bool:
    found = connection.execute(select(tables.message.c.id).where(tables.message.c.id == message_id))
    return found.first() is not None


def _body_of(event: WebhookEvent, now: datetime) -> str:
    # ASCII: data may hold what UTF-8 cannot write. NUL is spelt as an escape too.
    return json.dumps(
        {
            "type": event.type,
            "timestamp": iso(event.occurred_at or now),
            "data": dict(event.data),
        },
        separators=(",", ":"),
    )
