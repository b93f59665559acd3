"""Make the table of API keys."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from oxcart.database.migrations.additions import drop_tables, make_tables

if TYPE_CHECKING:
    from sqlalchemy import Connection

revision = "0005"
down_revision = "0004"

_INSTANT = sa.DateTime().with_variant(postgresql.TIMESTAMP(precision=3), "postgresql")

_own = sa.MetaData()
sa.Table(
    "oxcart_api_keys",
    _own,
    sa.Column("id", sa.Text, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("hash", sa.Text, nullable=False),
    sa.Column("scopes", sa.Text, nullable=False),
    sa.Column("created_at", _INSTANT, nullable=False),
    sa.Column("expires_at", _INSTANT),
    sa.Column("last_used_at", _INSTANT),
    sa.Column("revoked_at", _INSTANT),
    sa.PrimaryKeyConstraint("id", name="oxcart_api_keys_pkey"),
)


def upgrade(connection: Connection) -> None:
    """Make the table if it is missing."""
    make_tables(connection, _own)


def downgrade(connection: Connection) -> None:
    """Remove the table that oxcart made, with the keys in it."""
    drop_tables(connection, _own)
