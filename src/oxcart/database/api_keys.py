"""API keys in the database: made and revoked by a command, looked up by requests."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from sqlalchemy import or_, select, update
from sqlalchemy.exc import DBAPIError

from oxcart._auth.api_keys import Scope, make_key
from oxcart.database.errors import DatabaseUnavailable
from oxcart.database.tables import api_key as table

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy import RowMapping

    from oxcart.database.engine import Database

log = logging.getLogger("oxcart.database")

USE_INTERVAL = timedelta(minutes=1)
"""How exact the time of a key's last use is: a busy key must not write with each request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey:
    """A key, without its text, which is not stored."""

    id: str
    name: str
    hash: str
    scopes: frozenset[Scope]
    """Scopes that this version does not know are left out."""
    created_at: datetime
    expires_at: datetime | None = None
    last_used_at: datetime | None = None
    revoked_at: datetime | None = None

    def has_expired(self, now: datetime) -> bool:
        """Whether the key's time is over."""
        return self.expires_at is not None and self.expires_at <= now


class ApiKeys:
    """Keeps the keys.

    Args:
        database: where they are.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create(
        self, name: str, scopes: Iterable[Scope], *, expires_at: datetime | None = None
    ) -> tuple[ApiKey, str]:
        """Make a key.

        Returns:
            The key as it is stored, and its text, which cannot be found out later.
        """
        new = make_key()
        key = ApiKey(
            id=new.id,
            name=name,
            hash=new.hash,
            scopes=frozenset(scopes),
            created_at=datetime.now(UTC),
            expires_at=expires_at,
        )
        row = {
            "id": key.id,
            "name": key.name,
            "hash": key.hash,
            "scopes": " ".join(sorted(key.scopes)),
            "created_at": key.created_at,
            "expires_at": key.expires_at,
        }
        async with self._database.write() as connection:
            await connection.execute(table.insert(), [row])
        return key, new.text

    async def get(self, key_id: str) -> ApiKey | None:
        """Return the key of that id, revoked or not, or None."""
        async with self._database.read() as connection:
            found = await connection.execute(select(table).where(table.c.id == key_id))
            row = found.mappings().first()
        return None if row is None else _key(row)

    async def list_all(self) -> list[ApiKey]:
        """Return all keys, the oldest first."""
        async with self._database.read() as connection:
            rows = await connection.execute(select(table).order_by(table.c.created_at, table.c.id))
            return [_key(row) for row in rows.mappings()]

    async def revoke(self, key_id: str) -> ApiKey | None:
        """Revoke a key for good; the first time counts.

        Returns:
            The key, or None if no key has that id.
        """
        of_id = table.c.id == key_id
        async with self._database.write() as connection:
            await connection.execute(
                update(table)
                .where(of_id, table.c.revoked_at.is_(None))
                .values(revoked_at=datetime.now(UTC))
            )
            row = (await connection.execute(select(table).where(of_id))).mappings().first()
        return None if row is None else _key(row)

    async def record_use(self, key_id: str) -> None:
        """Note that a key is used now; without success, the time of its last use stays."""
        now = datetime.now(UTC)
        is_due = or_(table.c.last_used_at.is_(None), table.c.last_used_at <= now - USE_INTERVAL)
        statement = update(table).where(table.c.id == key_id, is_due).values(last_used_at=now)
        try:
            async with self._database.write() as connection:
                await connection.execute(statement)
        # DBAPIError: the database's user may only read, for example.
        except (DatabaseUnavailable, DBAPIError) as error:
            fact = {"key_id": key_id, "cause": type(error).__name__}
            log.warning("key.use_not_recorded", extra=fact)


def _key(row: RowMapping) -> ApiKey:
    known = {scope.value for scope in Scope}
    return ApiKey(
        id=row["id"],
        name=row["name"],
        hash=row["hash"],
        scopes=frozenset(Scope(name) for name in row["scopes"].split() if name in known),
        created_at=row["created_at"],
        expires_at=row["expires_at"],
        last_used_at=row["last_used_at"],
        revoked_at=row["revoked_at"],
    )
