"""Quotas: how many exports a user may ask for in an hour, and have unfinished at a time.

The rows of the exports are counted, in the transaction that adds the next one. So all API processes
share the quotas, and they hold while Redis is away. Requests of one user that arrive together are
counted one after the other: SQLite has one writer, and on PostgreSQL the transaction holds a lock
for the user.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from sqlalchemy import func, select, text

from oxcart.database.tables import export_job as table
from oxcart.database.types import ExportStatus
from oxcart.exports.errors import ExportQuotaExceeded

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

HOUR = timedelta(hours=1)
FORGOTTEN_AFTER = timedelta(hours=24)
"""An unfinished export that is older does not count: another system may have left it behind."""
UNFINISHED_RETRY_SECONDS = 30
_LOCK = text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))")


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportQuota:
    """What each user may have.

    Attributes:
        per_hour: how many exports the user may ask for within an hour; 0: any number.
        unfinished: how many exports that are not finished the user may have; 0: any number.
    """

    per_hour: int = 0
    unfinished: int = 0

    async def check(self, connection: AsyncConnection, user_id: str, now: datetime) -> None:
        """Refuse one more export if the user has enough.

        Args:
            connection: in the transaction that adds the export's row.
            user_id: the user who asks.
            now: when the new row is made.

        Raises:
            ExportQuotaExceeded: no row may be added.
        """
        if not self.per_hour and not self.unfinished:
            return
        if connection.dialect.name == "postgresql":
            await connection.execute(_LOCK, {"name": f"oxcart:exports:{user_id}"})
        if self.unfinished:
            await self._check_unfinished(connection, user_id, now)
        if self.per_hour:
            await self._check_hour(connection, user_id, now)

    async def _check_unfinished(
        self, connection: AsyncConnection, user_id: str, now: datetime
    ) -> None:
        query = select(func.count()).where(
            table.c.userId == user_id,
            table.c.status.in_([ExportStatus.PENDING, ExportStatus.PROCESSING]),
            table.c.createdAt > now - FORGOTTEN_AFTER,
        )
        count = (await connection.execute(query)).scalar_one()
        if count >= self.unfinished:
            raise ExportQuotaExceeded(
                f"{count} of your exports are not finished, and {self.unfinished} may be at a time",
                retry_after_seconds=UNFINISHED_RETRY_SECONDS,
            )

    async def _check_hour(self, connection: AsyncConnection, user_id: str, now: datetime) -> None:
        # The row that has to become older than an hour before one more may be added.
        query = (
            select(table.c.createdAt)
            .where(table.c.userId == user_id, table.c.createdAt > now - HOUR)
            .order_by(table.c.createdAt.desc())
            .limit(1)
            .offset(self.per_hour - 1)
        )
        oldest = (await connection.execute(query)).scalar_one_or_none()
        if oldest is not None:
            seconds = (oldest + HOUR - now).total_seconds()
            raise ExportQuotaExceeded(
                f"you asked for {self.per_hour} exports within an hour, and more are not allowed",
                retry_after_seconds=max(1, math.ceil(seconds)),
            )
