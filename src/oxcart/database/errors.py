"""What can be wrong with the database, said without SQLAlchemy's types."""

from __future__ import annotations

from oxcart.errors import ConfigError, OxcartError


class DatabaseError(OxcartError):
    """The root of every error about the database."""


class DatabaseUnavailable(DatabaseError):
    """The database cannot be reached, went away in the middle, or is locked for too long."""


class DatabaseNotEmpty(DatabaseError):
    """Sample data goes only into an empty database; nothing was changed.

    Attributes:
        table: the first table found with rows in it.
    """

    def __init__(self, table: str) -> None:
        super().__init__(
            f'the table "{table}" has rows; sample data goes only into an empty database'
        )
        self.table = table


class DatabaseBehind(DatabaseError, ConfigError):
    """The database lacks migrations that this version of oxcart needs; nothing was changed."""


class MigrationRefused(DatabaseError):
    """A migration was not taken back, because something would be lost; nothing was changed."""
