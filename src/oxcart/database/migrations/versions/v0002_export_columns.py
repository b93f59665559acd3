"""Add oxcart's own columns to ExportJob, all nullable.

Prisma knows nothing of them, and its inserts go on working.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from oxcart.database.migrations.additions import (
    add_columns,
    column_types,
    drop_columns,
    note_columns,
)

if TYPE_CHECKING:
    from sqlalchemy import Connection

revision = "0002"
down_revision = "0001"

_DOCUMENT = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
_INSTANT = sa.DateTime().with_variant(postgresql.TIMESTAMP(precision=3), "postgresql")

_export_job = sa.Table(
    "ExportJob",
    sa.MetaData(),
    sa.Column("filters", _DOCUMENT),
    sa.Column("startedAt", _INSTANT),
    sa.Column("attempts", sa.Integer),
    sa.Column("rows", sa.BigInteger),
    sa.Column("bytes", sa.BigInteger),
    sa.Column("sha256", sa.Text),
    sa.Column("error", sa.Text),
)


def upgrade(connection: Connection) -> None:
    """Add the columns that are missing."""
    if _are_a_former_versions(connection):
        note_columns(connection, _export_job, {column.name for column in _export_job.c})
    else:
        add_columns(connection, _export_job)


def downgrade(connection: Connection) -> None:
    """Remove the columns that are ours, and what stands in them."""
    drop_columns(connection, _export_job)


def _are_a_former_versions(connection: Connection) -> bool:
    """Whether a version that had no migrations added the columns, which are ours to remove then.

    It left out the instant's precision on PostgreSQL. Columns that Prisma added, because the
    site's schema names them, have it; those are the site's.
    """
    found = column_types(connection, _export_job.name)
    made = {column.name: column.type for column in _export_job.c} | {"startedAt": sa.DateTime()}
    return all(
        name in found and _spelled(connection, kind) == _spelled(connection, found[name])
        for name, kind in made.items()
    )


def _spelled(connection: Connection, kind: sa.types.TypeEngine[object]) -> str:
    return str(kind.compile(dialect=connection.dialect))
