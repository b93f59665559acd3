"""Rows for tests."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from oxcart.database import Role
from oxcart.database.tables import user

if TYPE_CHECKING:
    from oxcart.database import Database

NOON = datetime(2026, 11, 24, 12, 0, 0, 123456, tzinfo=UTC)


def user_row(user_id: str = "user_1", **changes: object) -> dict[str, Any]:
    """Return a row of ``User``."""
    row: dict[str, Any] = {
        "id": user_id,
        "email": f"{user_id}@example.org",
        "name": "Ann",
        "role": Role.STUDENT,
        "referralCode": f"code-{user_id}",
        "createdAt": NOON,
        "updatedAt": NOON,
    }
    return row | changes


async def insert_user(database: Database, user_id: str = "user_1", **changes: object) -> None:
    """Put a user into the database."""
    async with database.write() as connection:
        await connection.execute(user.insert(), [user_row(user_id, **changes)])
