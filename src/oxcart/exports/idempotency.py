"""Idempotency keys: a request for an export that is repeated with its key makes one export.

A key belongs to a user and is kept in the database, written in the transaction that makes the
export's row. So it works while Redis is away, and of two requests that arrive together the second
waits for the first and finds its row.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, select, update
from sqlalchemy.dialects import postgresql, sqlite

from oxcart.database.tables import idempotency_key as table
from oxcart.exports.errors import IdempotencyKeyReused

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy.ext.asyncio import AsyncConnection

    from oxcart import JsonValue

KEPT_FOR = timedelta(hours=24)
"""How long a key is known; afterwards it makes a new export."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IdempotencyKey:
    """A user's key and what was asked for with it.

    Attributes:
        user_id: whose key it is; another user's key of the same text is another key.
        text: the key as the client chose it.
        fingerprint: hash of the request.
    """

    user_id: str
    text: str
    fingerprint: str

    @classmethod
    def of_request(
        cls, text: str, *, user_id: str, type_: str, filters: Mapping[str, JsonValue] | None
    ) -> IdempotencyKey:
        """Return the key of a request for an export; no filters and empty filters are the same."""
        request = json.dumps({"type": type_, "filters": dict(filters or {})}, sort_keys=True)
        digest = hashlib.sha256(request.encode()).hexdigest()
        return cls(user_id=user_id, text=text, fingerprint=digest)

    async def claim(self, connection: AsyncConnection, export_id: str) -> str | None:
        """Note that the key made an export, unless it made one before.

        Args:
            connection: in the transaction that makes the export's row.
            export_id: the export that is about to be made.

        Returns:
            The id of the export that the key made before, or None.

        Raises:
            IdempotencyKeyReused: the key came with another request before.
        """
        now = datetime.now(UTC)
        is_own = (table.c.user_id == self.user_id, table.c.key == self.text)
        await connection.execute(delete(table).where(*is_own, table.c.created_at < now - KEPT_FOR))
        values: dict[str, Any] = {
            "user_id": self.user_id,
            "key": self.text,
            "fingerprint": self.fingerprint,
            "export_id": export_id,
            "created_at": now,
        }
        dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
        # Waits for a transaction that is writing the same key, and then finds its row.
        claimed = await connection.execute(
            dialect.insert(table).values(values).on_conflict_do_nothing()
        )
        if claimed.rowcount == 1:
            return None
        found = select(table.c.fingerprint, table.c.export_id).where(*is_own)
        earlier = (await connection.execute(found)).one()
        if earlier.fingerprint != self.fingerprint:
            raise IdempotencyKeyReused(self.text)
        return str(earlier.export_id)

    async def move(self, connection: AsyncConnection, export_id: str) -> None:
        """Note another export as the key's: the row of the earlier one was deleted."""
        is_own = (table.c.user_id == self.user_id, table.c.key == self.text)
        await connection.execute(update(table).where(*is_own).values(export_id=export_id))
