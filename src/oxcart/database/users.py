"""The application's users, as far as oxcart needs them: who asks, and what they may."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from sqlalchemy import Text, cast, select

from oxcart.database.tables import user as table
from oxcart.database.texts import is_storable
from oxcart.database.types import Role

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Connection, Row, Select

    from oxcart.database.engine import Database

    _Columns: TypeAlias = tuple[str, str, str | None, str, datetime | None]

DEFAULT_USER_ID = "user_admin"
DEFAULT_USER_EMAIL = "admin@cofactor.example"
"""The sample data's administrator, whom requests without a key act for in development."""

STAFF_ROLES = frozenset({Role.ADMIN.value, Role.STAFF.value})
"""The roles that may see other people's data."""


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """A user of the application."""

    id: str
    email: str
    name: str | None
    role: str
    """One of ``Role``, as text: a role that oxcart does not know has no rights."""
    suspended_until: datetime | None = None
    """Until then the user's sessions are not accepted (the column ``lockedUntil``)."""

    def is_suspended(self, now: datetime) -> bool:
        """Whether the user's sessions are not accepted at a moment."""
        return self.suspended_until is not None and self.suspended_until > now

    @property
    def is_staff(self) -> bool:
        """Whether the user may see other people's data."""
        return self.role in STAFF_ROLES


class Users:
    """Finds users.

    Args:
        database: where they are.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(self, user_id: str) -> User | None:
        """Return the user of that id, or None."""
        if not is_storable(user_id):
            return None
        return await self._first(_users().where(table.c.id == user_id))

    async def find_by_email(self, email: str) -> User | None:
        """Return the user of that e-mail address, or None."""
        if not is_storable(email):
            return None
        return await self._first(_users().where(table.c.email == email))

    async def default_user(self) -> User | None:
        """Return the sample data's administrator, or None when the database is not the sample."""
        query = _users().where(
            table.c.id == DEFAULT_USER_ID,
            table.c.email == DEFAULT_USER_EMAIL,
            cast(table.c.role, Text) == Role.ADMIN.value,
        )
        return await self._first(query)

    async def _first(self, query: Select[*_Columns]) -> User | None:
        async with self._database.read() as connection:
            return _as_user((await connection.execute(query)).first())


def find_user(connection: Connection, user_id: str) -> User | None:
    """Return the user of that id as a blocking connection sees it, or None."""
    return _as_user(connection.execute(_users().where(table.c.id == user_id)).first())


def _users() -> Select[*_Columns]:
    # As text: an application may have roles that are not in our enum.
    role = cast(table.c.role, Text).label("role")
    return select(table.c.id, table.c.email, table.c.name, role, table.c.lockedUntil)


def _as_user(row: Row[*_Columns] | None) -> User | None:
    if row is None:
        return None
    return User(
        id=row.id,
        email=row.email,
        name=row.name,
        role=row.role,
        suspended_until=row.lockedUntil,
    )
