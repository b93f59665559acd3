"""Remembers the ids of messages that were received, so that each is acted upon once."""

from __future__ import annotations

import time
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import TYPE_CHECKING

from sqlalchemy import delete, select, update
from sqlalchemy.exc import IntegrityError

from oxcart.webhooks.errors import MessageBusy
from oxcart.webhooks.tables import received

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from sqlalchemy import Connection

    from oxcart.database.engine import Database

REMEMBERED_FOR = timedelta(days=30)
"""Longer than senders go on sending a message again."""
TAKEN_OVER_AFTER = timedelta(minutes=1)
"""How long a message may be worked on: after that its process counts as dead."""
_PRUNE_SECONDS = 3600.0


class _Claim(Enum):
    NEW = "new"
    DONE = "done"
    BUSY = "busy"


class ReceivedMessages:
    """The ids of messages that were received.

    Args:
        database: where they are kept.
        now: the time.
    """

    def __init__(
        self, database: Database, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._database = database
        self._now = now
        self._prune_at = float("-inf")

    @asynccontextmanager
    async def once(self, message_id: str) -> AsyncIterator[bool]:
        """Act upon a message inside the block, once over all processes.

        The message counts as done when the block ends; an error inside the block lets the sender's
        next attempt act.

        Returns:
            Whether the message is new; ``False``: it was acted upon before.

        Raises:
            MessageBusy: another copy is being acted upon.
        """
        claim = await self._claim(message_id)
        if claim is _Claim.BUSY:
            raise MessageBusy(message_id)
        if claim is _Claim.DONE:
            yield False
            return
        try:
            yield True
        except BaseException:
            async with self._database.write() as connection:
                await connection.execute(delete(received).where(received.c.id == message_id))
            raise
        async with self._database.write() as connection:
            await connection.execute(
                update(received).where(received.c.id == message_id).values(done_at=self._now())
            )

    async def _claim(self, message_id: str) -> _Claim:
        try:
            async with self._database.write() as connection:
                claim = await connection.run_sync(_claim, message_id, self._now())
                if time.monotonic() >= self._prune_at:
                    self._prune_at = time.monotonic() + _PRUNE_SECONDS
                    old = self._now() - REMEMBERED_FOR
                    await connection.execute(delete(received).where(received.c.received_at < old))
                return claim
        except IntegrityError:  # another process was quicker by a moment
            return _Claim.BUSY


def _claim(connection: Connection, message_id: str, now: datetime) -> _Claim:
    query = select(received.c.received_at, received.c.done_at).where(received.c.id == message_id)
    row = connection.execute(query).first()
    if row is None:
        connection.execute(received.insert().values(id=message_id, received_at=now))
        return _Claim.NEW
    if row.done_at is not None:
        return _Claim.DONE
    taken = (
        update(received)
        .where(
            received.c.id == message_id,
            received.c.done_at.is_(None),
            received.c.received_at < now - TAKEN_OVER_AFTER,
        )
        .values(received_at=now)
    )
    return _Claim.NEW if connection.execute(taken).rowcount == 1 else _Claim.BUSY
