"""Add columns for the expiry of exports, and the table of idempotency keys.

``ExportJob`` gets nullable columns, so that Prisma's inserts go on working.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from oxcart.database.migrations.additions import (
    add_columns,
    drop_columns,
    drop_tables,
    make_tables,
)

if TYPE_CHECKING:
    from sqlalchemy import Connection

revision = "0003"
down_revision = "0002"

_INSTANT = sa.DateTime().with_variant(postgresql.TIMESTAMP(precision=3), "postgresql")

_export_job = sa.Table(
    "ExportJob",
    sa.MetaData(),
    sa.Column("expiredAt", _INSTANT),
    sa.Column("ownerRole", sa.Text),
)

_own = sa.MetaData()
sa.Table(
    "oxcart_idempotency_keys",
    _own,
    sa.Column("user_id", sa.Text, primary_key=True),
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("fingerprint", sa.Text, nullable=False),
    sa.Column("export_id", sa.Text, nullable=False),
    sa.Column("created_at", _INSTANT, nullable=False),
    sa.Index("oxcart_idempotency_keys_created_at_idx", "created_at"),
    sa.PrimaryKeyConstraint("user_id", "key", name="oxcart_idempotency_keys_pkey"),
)


def upgrade(connection: Connection) -> None:
    """Add the columns and the table that are missing."""
    add_columns(connection, _export_job)
    make_tables(connection, _own)


def downgrade(connection: Connection) -> None:
    """Remove the columns and the table that oxcart made, with what is in them."""
    drop_tables(connection, _own)
    drop_columns(connection, _export_job)
