"""The table ``Session``, in which NextAuth keeps sessions by its Prisma adapter."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from sqlalchemy import Column, MetaData, Table, Text, inspect, select

from oxcart.database.texts import is_storable
from oxcart.database.types import UtcTimestamp

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from oxcart.database.engine import Database

SECONDS_UNTIL_NEXT_LOOK = 60
"""How long a table that was missing is taken to be missing still."""

# Not in the metadata of ``tables``: the site makes this table, oxcart's migrations never do.
_session = Table(
    "Session",
    MetaData(),
    Column("sessionToken", Text, primary_key=True),
    Column("userId", Text, nullable=False),
    Column("expires", UtcTimestamp, nullable=False),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredSession:
    """A session of the site."""

    user_id: str
    expires_at: datetime


class StoredSessions:
    """Finds sessions.

    Args:
        database: the site's database.
        clock: returns seconds that only grow.
    """

    def __init__(self, database: Database, clock: Callable[[], float] = time.monotonic) -> None:
        self._database = database
        self._clock = clock
        self._has_table = False
        self._missing_until = float("-inf")

    async def get(self, token: str) -> StoredSession | None:
        """Return the session of a token; None if there is none, or no table of sessions."""
        if not is_storable(token) or not await self._is_there():
            return None
        query = select(_session.c.userId, _session.c.expires)
        async with self._database.read() as connection:
            row = (await connection.execute(query.where(_session.c.sessionToken == token))).first()
        return None if row is None else StoredSession(user_id=row.userId, expires_at=row.expires)

    async def _is_there(self) -> bool:
        if self._has_table or self._clock() < self._missing_until:
            return self._has_table
        async with self._database.read() as connection:
            self._has_table = await connection.run_sync(_has_table)
        if not self._has_table:
            self._missing_until = self._clock() + SECONDS_UNTIL_NEXT_LOOK
        return self._has_table


def _has_table(connection: Connection) -> bool:
    return inspect(connection).has_table(_session.name)
