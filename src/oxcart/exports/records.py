"""The rows of ``ExportJob``: what became of each export.

The life of a row::

    PENDING ──► PROCESSING ──► COMPLETED
       │            │ ▲            ▲
       └──► FAILED ◄┘ └── FAILED ──┘      an operator may retry a failed job

A COMPLETED row stays COMPLETED: whatever says otherwise is late. When its file is removed, its
``fileUrl`` becomes null and ``expiredAt`` is set (``expiry``). The moves are single guarded
UPDATEs, so that two processes that move a row at once cannot undo each other.
"""

from __future__ import annotations

from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import Text, and_, cast, func, or_, select, update
from sqlalchemy.exc import IntegrityError

from oxcart.database.ids import new_id
from oxcart.database.tables import export_job as table
from oxcart.database.texts import is_storable, storable
from oxcart.database.types import ExportStatus
from oxcart.database.users import Users
from oxcart.exports.errors import ExportForbidden
from oxcart.exports.quotas import ExportQuota
from oxcart.exports.record import ExportRecord, Position

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from datetime import timedelta

    from sqlalchemy import ColumnElement, Connection, Insert, Row, Select, Update
    from sqlalchemy.ext.asyncio import AsyncConnection

    from oxcart import JsonValue
    from oxcart.database.engine import Database
    from oxcart.database.users import User
    from oxcart.exports.idempotency import IdempotencyKey

__all__ = ["ExportRecord", "ExportRecords", "Position"]

MAX_ERROR_LENGTH = 2_000


class ExportRecords:
    """Makes, finds and moves the rows. Methods ending in ``_sync`` are for threads.

    Args:
        database: where they are.
        on_ended: called with the row after it was set COMPLETED or FAILED, in the transaction that
            did so: what it writes is committed together with the row, and what it raises leaves the
            row as it was. It runs in a thread or in the event loop and must not block for long.
        quota: how many rows each user may make.
    """

    def __init__(
        self,
        database: Database,
        *,
        on_ended: Callable[[Connection, ExportRecord], None] | None = None,
        quota: ExportQuota | None = None,
    ) -> None:
        self._database = database
        self._on_ended = on_ended
        self._quota = quota or ExportQuota()

    async def create(
        self, *, user_id: str, type_: str, filters: Mapping[str, JsonValue] | None = None
    ) -> ExportRecord:
        """Make a PENDING row.

        Raises:
            ExportForbidden: the user is gone.
            ExportQuotaExceeded: the user has enough.
        """
        record = _pending(user_id, type_, filters)
        with _user_checked(user_id):
            async with self._database.write() as connection:
                await self._add(connection, record)
        return record

    async def create_once(
        self, key: IdempotencyKey, *, type_: str, filters: Mapping[str, JsonValue] | None = None
    ) -> tuple[ExportRecord, bool]:
        """Make a PENDING row for the key's user, unless the key made one before.

        Returns:
            The row, and whether it was made now.

        Raises:
            ExportForbidden: the user is gone.
            IdempotencyKeyReused: the key came with another request before.
            ExportQuotaExceeded: the user has enough; the key made nothing.
        """
        record = _pending(key.user_id, type_, filters)
        with _user_checked(key.user_id):
            async with self._database.write() as connection:
                earlier_id = await key.claim(connection, record.id)
                if earlier_id is not None:
                    query = _select().where(table.c.id == earlier_id)
                    earlier = _first(await connection.execute(query))
                    if earlier is not None:
                        return earlier, False
                    await key.move(connection, record.id)
                await self._add(connection, record)
        return record, True

    async def get(self, export_id: str) -> ExportRecord | None:
        """Return the row of that id, or None."""
        if not is_storable(export_id):
            return None
        async with self._database.read() as connection:
            return _first(await connection.execute(_select().where(table.c.id == export_id)))

    async def owner_of(self, record: ExportRecord) -> User | None:
        """Return the user whose export it is, or None if the user was deleted."""
        return await Users(self._database).get(record.user_id)

    async def count_by_status(self) -> dict[ExportStatus, int]:
        """How many rows there are of each status."""
        query = select(table.c.status, func.count().label("total")).group_by(table.c.status)
        async with self._database.read() as connection:
            found = {row.status: row.total for row in await connection.execute(query)}
        return {status: found.get(status, 0) for status in ExportStatus}

    async def list_for_user(
        self,
        user_id: str,
        *,
        status: ExportStatus | None = None,
        after: Position | None = None,
        limit: int,
    ) -> list[ExportRecord]:
        """Return a user's rows, newest first.

        Args:
            user_id: whose.
            status: only these.
            after: only rows behind (older than) this place.
            limit: how many at most.
        """
        if not is_storable(user_id):
            return []
        query = _select().where(table.c.userId == user_id)
        if status is not None:
            query = query.where(table.c.status == status)
        if after is not None:
            query = query.where(_is_older(after))
        query = query.order_by(table.c.createdAt.desc(), table.c.id.desc()).limit(limit)
        async with self._database.read() as connection:
            return [_as_record(row) for row in await connection.execute(query)]

    async def pending(
        self,
        *,
        waiting_for: timedelta,
        running_for: timedelta,
        younger_than: timedelta,
        after: Position | None = None,
        limit: int,
    ) -> list[ExportRecord]:
        """Return rows that ought to have a job in the queue, oldest first.

        Args:
            waiting_for: how long a row must have been PENDING.
            running_for: how long a row must have been PROCESSING since its last attempt began.
            younger_than: how long ago a row may have been made.
            after: only rows behind (younger than) this place.
            limit: how many at most.
        """
        now = _now()
        started = func.coalesce(table.c.startedAt, table.c.createdAt)
        is_waiting = and_(
            table.c.status == ExportStatus.PENDING, table.c.createdAt < now - waiting_for
        )
        is_running = and_(table.c.status == ExportStatus.PROCESSING, started < now - running_for)
        query = _select().where(or_(is_waiting, is_running), table.c.createdAt > now - younger_than)
        if after is not None:
            query = query.where(_is_younger(after))
        query = query.order_by(table.c.createdAt, table.c.id).limit(limit)
        async with self._database.read() as connection:
            return [_as_record(row) for row in await connection.execute(query)]

    async def mark_completed(self, export_id: str, *, file_url: str | None) -> bool:
        """Set the row COMPLETED on another system's word.

        Returns:
            Whether it was moved: no if there is none, or if it was COMPLETED before.
        """
        if not is_storable(export_id):
            return False
        return await self._move(export_id, _completed(export_id, {"fileUrl": file_url}))

    async def mark_failed(self, export_id: str, reason: str) -> bool:
        """Set an open row FAILED.

        Returns:
            Whether it was moved: no if there is none, or if it had ended before.
        """
        if not is_storable(export_id):
            return False
        return await self._move(export_id, _failed(export_id, reason))

    def get_sync(self, export_id: str) -> ExportRecord | None:
        """Return the row of that id, or None."""
        with self._database.snapshot() as connection:
            return _get_sync(connection, export_id)

    def mark_processing_sync(self, export_id: str, *, attempt: int) -> ExportRecord | None:
        """Set the row PROCESSING, unless it is COMPLETED.

        Returns:
            The row as it is now, or None if there is none.
        """
        with self._database.write_sync() as connection:
            connection.execute(_processing(export_id, attempt))
            return _get_sync(connection, export_id)

    def mark_completed_sync(
        self,
        export_id: str,
        *,
        file_url: str,
        rows: int,
        size_bytes: int,
        sha256: str,
        owner_role: str,
    ) -> bool:
        """Set the row COMPLETED with what was written.

        Returns:
            Whether it was moved, as for ``mark_completed``.
        """
        result = {
            "fileUrl": file_url,
            "rows": rows,
            "bytes": size_bytes,
            "sha256": sha256,
            "ownerRole": owner_role,
        }
        with self._database.write_sync() as connection:
            return self._end(connection, export_id, _completed(export_id, result))

    async def _add(self, connection: AsyncConnection, record: ExportRecord) -> None:
        await self._quota.check(connection, record.user_id, record.created_at)
        await connection.execute(_insert(record))

    async def _move(self, export_id: str, statement: Update) -> bool:
        async with self._database.write() as connection:
            return await connection.run_sync(self._end, export_id, statement)

    def _end(self, connection: Connection, export_id: str, statement: Update) -> bool:
        """Set a row to its end and report it, in the connection's transaction."""
        if connection.execute(statement).rowcount != 1:
            return False
        if self._on_ended is not None:
            record = _get_sync(connection, export_id)
            if record is not None:
                self._on_ended(connection, record)
        return True


def _now() -> datetime:
    # Whole milliseconds, as the database keeps them.
    now = datetime.now(UTC)
    return now.replace(microsecond=now.microsecond // 1000 * 1000)


def _pending(user_id: str, type_: str, filters: Mapping[str, JsonValue] | None) -> ExportRecord:
    return ExportRecord(
        id=new_id(),
        user_id=user_id,
        type=type_,
        status=ExportStatus.PENDING,
        created_at=_now(),
        filters=dict(filters or {}),  # never NULL: that is how own rows are known
    )


@contextmanager
def _user_checked(user_id: str) -> Iterator[None]:
    """Turn a broken reference to the user into an error that says so."""
    try:
        yield
    except IntegrityError as error:
        raise ExportForbidden(f"the user {user_id!r} is gone") from error


def _select() -> Select[Any]:
    # The type as text: the site may add exports that oxcart does not know.
    columns = [column for column in table.c if column.name != "type"]
    return select(*columns, cast(table.c.type, Text).label("type"))


def _insert(record: ExportRecord) -> Insert:
    return table.insert().values(
        id=record.id,
        userId=record.user_id,
        type=record.type,
        status=record.status,
        createdAt=record.created_at,
        filters=record.filters,
    )


def _processing(export_id: str, attempt: int) -> Update:
    return _unless_completed(export_id).values(
        status=ExportStatus.PROCESSING,
        startedAt=_now(),
        attempts=attempt,
        completedAt=None,
        error=None,
    )


def _completed(export_id: str, result: dict[str, Any]) -> Update:
    return _unless_completed(export_id).values(
        status=ExportStatus.COMPLETED, completedAt=_now(), error=None, **result
    )


def _failed(export_id: str, reason: str) -> Update:
    is_open = table.c.status.in_([ExportStatus.PENDING, ExportStatus.PROCESSING])
    return (
        update(table)
        .where(table.c.id == export_id, is_open)
        .values(
            status=ExportStatus.FAILED,
            completedAt=_now(),
            error=storable(reason)[:MAX_ERROR_LENGTH],
        )
    )


def _unless_completed(export_id: str) -> Update:
    return update(table).where(table.c.id == export_id, table.c.status != ExportStatus.COMPLETED)


def _is_older(place: Position) -> ColumnElement[bool]:
    same = and_(table.c.createdAt == place.created_at, table.c.id < place.id)
    return or_(table.c.createdAt < place.created_at, same)


def _is_younger(place: Position) -> ColumnElement[bool]:
    same = and_(table.c.createdAt == place.created_at, table.c.id > place.id)
    return or_(table.c.createdAt > place.created_at, same)


def _get_sync(connection: Connection, export_id: str) -> ExportRecord | None:
    return _first(connection.execute(_select().where(table.c.id == export_id)))


def _first(result: Any) -> ExportRecord | None:
    row = result.first()
    return None if row is None else _as_record(row)


def _as_record(row: Row[Any]) -> ExportRecord:
    return ExportRecord(
        id=row.id,
        user_id=row.userId,
        type=row.type,
        status=row.status,
        created_at=row.createdAt,
        file_url=row.fileUrl,
        completed_at=row.completedAt,
        filters=row.filters,
        started_at=row.startedAt,
        attempts=row.attempts,
        rows=row.rows,
        size_bytes=row.bytes,
        sha256=row.sha256,
        error=row.error,
        expired_at=row.expiredAt,
        owner_role=row.ownerRole,
    )
