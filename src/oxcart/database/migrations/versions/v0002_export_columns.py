"""Add oxcart's own columns to ExportJob, all nullable.

Prisma knows nothing of them, and its inserts go on working.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateColumn

from oxcart.database.migrations.ledger import Kind, Ledger

if TYPE_CHECKING:
    from sqlalchemy import Connection

revision = "0002"
down_revision = "0001"

_TABLE = "ExportJob"
_DOCUMENT = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
_INSTANT = sa.DateTime().with_variant(postgresql.TIMESTAMP(precision=3), "postgresql")

_export_job = sa.Table(
    _TABLE,
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
    ledger = Ledger(connection)
    if _are_a_former_versions(connection):
        ledger.note(Kind.COLUMN, _noted_names({column.name for column in _export_job.c}))
        return
    present = _present(connection)
    missing = [column for column in _export_job.c if column.name not in present]
    for column in missing:
        definition = CreateColumn(column).compile(dialect=connection.dialect)
        connection.execute(sa.text(f"ALTER TABLE {_quoted(connection)} ADD COLUMN {definition}"))
    ledger.note(Kind.COLUMN, _noted_names({column.name for column in missing}))


def downgrade(connection: Connection) -> None:
    """Remove the columns that are ours, and what stands in them."""
    ledger = Ledger(connection)
    noted = ledger.noted(Kind.COLUMN)
    present = _present(connection)
    for column in _export_job.c:
        if f"{_TABLE}.{column.name}" in noted and column.name in present:
            name = connection.dialect.identifier_preparer.quote(column.name)
            connection.execute(sa.text(f"ALTER TABLE {_quoted(connection)} DROP COLUMN {name}"))
    ledger.forget(Kind.COLUMN, _noted_names({column.name for column in _export_job.c}))


def _are_a_former_versions(connection: Connection) -> bool:
    """Whether a version that had no migrations added the columns, which are ours to remove then.

    It left out the instant's precision on PostgreSQL. Columns that Prisma added, because the
    site's schema names them, have it; those are the site's.
    """
    found = _present(connection)
    made = {column.name: column.type for column in _export_job.c} | {"startedAt": sa.DateTime()}
    return all(
        name in found and _spelled(connection, kind) == _spelled(connection, found[name])
        for name, kind in made.items()
    )


def _spelled(connection: Connection, kind: sa.types.TypeEngine[object]) -> str:
    return str(kind.compile(dialect=connection.dialect))


def _present(connection: Connection) -> dict[str, sa.types.TypeEngine[object]]:
    columns = sa.inspect(connection).get_columns(_TABLE)
    return {column["name"]: column["type"] for column in columns}


def _noted_names(columns: set[str]) -> list[str]:
    return sorted(f"{_TABLE}.{name}" for name in columns)


def _quoted(connection: Connection) -> str:
    return connection.dialect.identifier_preparer.format_table(_export_job)
