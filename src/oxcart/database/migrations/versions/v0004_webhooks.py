"""Make the tables of webhooks: messages, deliveries, attempts, received ids, cursors."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from oxcart.database.migrations.additions import drop_tables, make_tables

if TYPE_CHECKING:
    from sqlalchemy import Connection

revision = "0004"
down_revision = "0003"

_INSTANT = sa.DateTime().with_variant(postgresql.TIMESTAMP(precision=3), "postgresql")

_own = sa.MetaData()
sa.Table(
    "oxcart_webhook_message",
    _own,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("type", sa.Text, nullable=False),
    sa.Column("body", sa.Text, nullable=False),
    sa.Column("created_at", _INSTANT, nullable=False),
    sa.Index("oxcart_webhook_message_created_at_idx", "created_at"),
)
sa.Table(
    "oxcart_webhook_delivery",
    _own,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column(
        "message_id",
        sa.Text,
        sa.ForeignKey("oxcart_webhook_message.id", ondelete="CASCADE"),
        nullable=False,
    ),
    sa.Column("endpoint", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("round", sa.Integer, nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("due_at", _INSTANT, nullable=False),
    sa.Column("created_at", _INSTANT, nullable=False),
    sa.Column("ended_at", _INSTANT),
    sa.Column("error", sa.Text),
    sa.Index("oxcart_webhook_delivery_state_idx", "state", "due_at"),
    sa.Index("oxcart_webhook_delivery_message_id_idx", "message_id"),
)
sa.Table(
    "oxcart_webhook_attempt",
    _own,
    sa.Column(
        "delivery_id",
        sa.Text,
        sa.ForeignKey("oxcart_webhook_delivery.id", ondelete="CASCADE"),
        primary_key=True,
    ),
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("started_at", _INSTANT, nullable=False),
    sa.Column("duration_ms", sa.Integer, nullable=False),
    sa.Column("status", sa.Integer),
    sa.Column("error", sa.Text),
    sa.Column("answer", sa.Text),
)
sa.Table(
    "oxcart_webhook_received",
    _own,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("received_at", _INSTANT, nullable=False),
    sa.Column("done_at", _INSTANT),
    sa.Index("oxcart_webhook_received_received_at_idx", "received_at"),
)
sa.Table(
    "oxcart_webhook_cursor",
    _own,
    sa.Column("queue", sa.Text, primary_key=True),
    sa.Column("event_id", sa.Text, nullable=False),
    sa.Column("owner", sa.Text),
    sa.Column("leased_until", _INSTANT),
)


def upgrade(connection: Connection) -> None:
    """Make the tables that are missing."""
    make_tables(connection, _own)


def downgrade(connection: Connection) -> None:
    """Remove the tables that oxcart made, with what is in them."""
    drop_tables(connection, _own)
