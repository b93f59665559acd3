"""The list of what migrations made, kept in the database, so that going back takes only that.

Tables of the application may be there before oxcart comes, made by Prisma. What a migration finds
there it leaves alone, in both directions.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from sqlalchemy import Column, MetaData, Table, Text, delete, select

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy import Connection

LEDGER_TABLE = "oxcart_made"

_made = Table(
    LEDGER_TABLE,
    MetaData(),
    Column("kind", Text, primary_key=True),
    Column("name", Text, primary_key=True),
)


class Kind(StrEnum):
    """What can be made."""

    TABLE = "table"
    ENUM = "enum"
    """A type of PostgreSQL's."""
    COLUMN = "column"
    """Named as ``table.column``."""


class Ledger:
    """What oxcart's migrations made in a database.

    Args:
        connection: in a transaction that writes.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def open(self) -> None:
        """Make the list where there is none."""
        _made.create(self._connection, checkfirst=True)

    def drop(self) -> None:
        """Remove the list itself."""
        _made.drop(self._connection, checkfirst=True)

    def note(self, kind: Kind, names: Iterable[str]) -> None:
        """Remember that these were made."""
        rows = [{"kind": kind.value, "name": name} for name in names]
        if rows:
            self._connection.execute(_made.insert(), rows)

    def noted(self, kind: Kind) -> frozenset[str]:
        """The names of all that were made of a kind."""
        query = select(_made.c.name).where(_made.c.kind == kind.value)
        return frozenset(self._connection.scalars(query))

    def forget(self, kind: Kind, names: Iterable[str]) -> None:
        """Remember no longer that these were made."""
        chosen = _made.c.name.in_(list(names))
        self._connection.execute(delete(_made).where(_made.c.kind == kind.value, chosen))
