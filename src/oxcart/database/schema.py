"""Making of what is missing in the database; it never changes or drops what is there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import inspect, text
from sqlalchemy.exc import ProgrammingError
from sqlalchemy.schema import CreateColumn

from oxcart.database.tables import EXPORT_JOB_ADDITIONS, export_job, metadata
from oxcart.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection

_SCHEMA_LOCK = 0x6F78_6361_7274
"""Key of PostgreSQL's advisory lock ("oxcart"): processes that start together take turns."""


def ensure_schema(connection: Connection) -> None:
    """Make missing tables, and oxcart's columns in an ``ExportJob`` that Prisma made.

    Args:
        connection: in a transaction that writes.

    Raises:
        ConfigError: the database's user may not.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _SCHEMA_LOCK})
    try:
        metadata.create_all(connection)
        for statement in _missing_columns(connection):
            connection.execute(text(statement))
    except ProgrammingError as error:
        raise ConfigError(
            f"the database's user could not run {error.statement!r}: {error.orig}; "
            "run it as the owner of the tables"
        ) from error


def _missing_columns(connection: Connection) -> Iterator[str]:
    present = {column["name"] for column in inspect(connection).get_columns(export_job.name)}
    quoted = connection.dialect.identifier_preparer.format_table(export_job)
    for name in EXPORT_JOB_ADDITIONS:
        if name not in present:
            column = CreateColumn(export_job.c[name]).compile(dialect=connection.dialect)
            yield f"ALTER TABLE {quoted} ADD COLUMN {column}"
