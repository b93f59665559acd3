"""Adds columns to a table that may be Prisma's, and tables of oxcart's own; removes them again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa
from sqlalchemy.schema import CreateColumn, DropTable

from oxcart.database.migrations.ledger import Kind, Ledger

if TYPE_CHECKING:
    from sqlalchemy import Connection


def add_columns(connection: Connection, table: sa.Table) -> None:
    """Add the columns that are missing and note those that were added."""
    present = column_types(connection, table.name)
    missing = [column for column in table.c if column.name not in present]
    for column in missing:
        definition = CreateColumn(column).compile(dialect=connection.dialect)
        statement = f"ALTER TABLE {_quoted(connection, table)} ADD COLUMN {definition}"
        connection.execute(sa.text(statement))
    note_columns(connection, table, {column.name for column in missing})


def note_columns(connection: Connection, table: sa.Table, columns: set[str]) -> None:
    """Note columns as added by oxcart."""
    Ledger(connection).note(Kind.COLUMN, sorted(f"{table.name}.{name}" for name in columns))


def drop_columns(connection: Connection, table: sa.Table) -> None:
    """Remove the columns that oxcart added, with their values."""
    ledger = Ledger(connection)
    noted = ledger.noted(Kind.COLUMN)
    present = column_types(connection, table.name)
    names = [f"{table.name}.{column.name}" for column in table.c]
    for column, name in zip(table.c, names, strict=True):
        if name in noted and column.name in present:
            quoted = connection.dialect.identifier_preparer.quote(column.name)
            statement = f"ALTER TABLE {_quoted(connection, table)} DROP COLUMN {quoted}"
            connection.execute(sa.text(statement))
    ledger.forget(Kind.COLUMN, names)


def make_tables(connection: Connection, tables: sa.MetaData) -> None:
    """Make the tables that are missing and note those that were made."""
    present = set(sa.inspect(connection).get_table_names())
    missing = [table for table in tables.sorted_tables if table.name not in present]
    tables.create_all(connection, tables=missing)
    Ledger(connection).note(Kind.TABLE, [table.name for table in missing])


def drop_tables(connection: Connection, tables: sa.MetaData) -> None:
    """Remove the tables that oxcart made, with their rows."""
    ledger = Ledger(connection)
    present = set(sa.inspect(connection).get_table_names())
    noted = ledger.noted(Kind.TABLE) & present
    for table in reversed(tables.sorted_tables):
        if table.name in noted:
            connection.execute(DropTable(table))
    ledger.forget(Kind.TABLE, [table.name for table in tables.sorted_tables])


def column_types(connection: Connection, table: str) -> dict[str, sa.types.TypeEngine[object]]:
    """The types of a table's columns, by name."""
    columns = sa.inspect(connection).get_columns(table)
    return {column["name"]: column["type"] for column in columns}


def _quoted(connection: Connection, table: sa.Table) -> str:
    return connection.dialect.identifier_preparer.format_table(table)
