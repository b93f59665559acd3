from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select
from tests.integration.database.rows import insert_user

from oxcart.database.ids import new_id
from oxcart.database.tables import export_job
from oxcart.database.types import ExportStatus
from oxcart.exports.errors import ExportForbidden
from oxcart.exports.records import ExportRecord, ExportRecords, Position

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from oxcart.database import Database

PENDING, PROCESSING, COMPLETED, FAILED = ExportStatus
WRITTEN: dict[str, Any] = {
    **{"file_url": "/f", "rows": 5, "size_bytes": 2**40, "sha256": "ab"},
    "owner_role": "ADMIN",
}


@pytest.fixture
async def records(database: Database) -> ExportRecords:
    await insert_user(database)
    return ExportRecords(database)


async def insert_row(database: Database, **changes: object) -> str:
    """Put a row in as another program would, and return its id."""
    row = {
        "id": new_id(),
        "userId": "user_1",
        "type": "ANALYTICS",
        "status": PENDING,
        "createdAt": datetime.now(UTC),
    } | changes
    async with database.write() as connection:
        await connection.execute(export_job.insert(), [row])
    return str(row["id"])


async def test_a_new_row_is_pending_and_reads_as_it_was_written(records: ExportRecords) -> None:
    filters: dict[str, Any] = {"role": "ADMIN", "name": 'a "b" 🧬', "universityId": None}
    created = await records.create(user_id="user_1", type_="MEMBERS", filters=filters)

    assert created == await records.get(created.id)
    assert created == ExportRecord(
        id=created.id,
        user_id="user_1",
        type="MEMBERS",
        status=PENDING,
        created_at=created.created_at,
        filters=filters,
    )
    assert timedelta() <= datetime.now(UTC) - created.created_at < timedelta(seconds=30)


async def test_row_of_a_user_who_is_gone_is_refused(records: ExportRecords) -> None:
    with pytest.raises(ExportForbidden, match="gone"):
        await records.create(user_id="nobody", type_="ANALYTICS")


async def test_missing_row_is_none_and_cannot_be_moved(records: ExportRecords) -> None:
    assert await records.get("cnone") is None
    assert records.get_sync("cnone") is None
    assert records.mark_processing_sync("cnone", attempt=1) is None
    assert not await records.mark_completed("cnone", file_url=None)
    assert not await records.mark_failed("cnone", "why")


async def test_the_usual_life_of_a_row(records: ExportRecords) -> None:
    row = await records.create(user_id="user_1", type_="MEMBERS")

    started = records.mark_processing_sync(row.id, attempt=2)
    assert started is not None
    assert (started.status, started.attempts, started.completed_at) == (PROCESSING, 2, None)
    assert started.started_at is not None
    assert records.mark_completed_sync(row.id, **WRITTEN)
    done = records.get_sync(row.id)
    assert done is not None
    assert done.status is COMPLETED
    assert (done.file_url, done.rows, done.size_bytes, done.sha256) == ("/f", 5, 2**40, "ab")
    assert done.completed_at is not None
    assert done.completed_at >= started.started_at


async def test_a_completed_row_is_never_changed(records: ExportRecords) -> None:
    row = await records.create(user_id="user_1", type_="MEMBERS")
    records.mark_completed_sync(row.id, **WRITTEN)
    done = await records.get(row.id)

    assert records.mark_processing_sync(row.id, attempt=3) == done
    assert not records.mark_completed_sync(row.id, **(WRITTEN | {"rows": 6}))
    assert not await records.mark_completed(row.id, file_url="https://elsewhere.example")
    assert not await records.mark_failed(row.id, "late")
    assert await records.get(row.id) == done


async def test_a_failed_row_says_why_and_may_begin_again(records: ExportRecords) -> None:
    row = await records.create(user_id="user_1", type_="MEMBERS")
    assert await records.mark_failed(row.id, "x" * 5_000 + "\x00")
    failed = await records.get(row.id)
    assert failed is not None
    assert (failed.status, failed.error) == (FAILED, "x" * 2_000)
    assert failed.completed_at is not None

    assert not await records.mark_failed(row.id, "again")
    again = records.mark_processing_sync(row.id, attempt=4)
    assert again is not None
    assert (again.status, again.error, again.completed_at) == (PROCESSING, None, None)
    assert records.mark_completed_sync(row.id, **WRITTEN)


async def test_list_is_newest_first_and_pages_through_equal_times(
    records: ExportRecords, database: Database
) -> None:
    noon = datetime(2026, 11, 24, 12, tzinfo=UTC)
    for number in range(7):
        await insert_row(
            database, id=f"c{number}", createdAt=noon + timedelta(milliseconds=number // 3)
        )
    await insert_user(database, "user_2")
    await insert_row(database, id="cother", userId="user_2")

    ids: list[str] = []
    after = None
    while page := await records.list_for_user("user_1", after=after, limit=2):
        ids += [row.id for row in page]
        after = Position.of(page[-1])
    assert ids == ["c6", "c5", "c4", "c3", "c2", "c1", "c0"]


async def test_rows_are_counted_by_status(records: ExportRecords) -> None:
    nothing = await records.count_by_status()
    first = await records.create(user_id="user_1", type_="ANALYTICS")
    await records.create(user_id="user_1", type_="ANALYTICS")
    await records.mark_failed(first.id, "it broke")

    assert dict.fromkeys(ExportStatus, 0) == nothing
    assert (
        nothing
        | {
            ExportStatus.PENDING: 1,
            ExportStatus.FAILED: 1,
        }
        == await records.count_by_status()
    )


async def test_list_of_one_status(records: ExportRecords, database: Database) -> None:
    await insert_row(database, id="c1")
    await insert_row(database, id="c2", status=FAILED)

    found = await records.list_for_user("user_1", status=FAILED, limit=50)
    assert [row.id for row in found] == ["c2"]


async def test_pending_finds_open_rows_of_the_right_age(
    records: ExportRecords, database: Database
) -> None:
    now = datetime.now(UTC)
    minutes = [timedelta(minutes=number) for number in range(60)]
    for name, status, created, started in [
        ("c1-new", PENDING, minutes[0], None),
        ("c2-waiting", PENDING, minutes[3], None),
        ("c3-begun", PROCESSING, minutes[30], minutes[1]),
        ("c4-stuck", PROCESSING, minutes[30], minutes[20]),
        ("c5-stuck-without-a-time", PROCESSING, minutes[40], None),
        ("c6-done", COMPLETED, minutes[50], minutes[50]),
        ("c7-failed", FAILED, minutes[50], minutes[50]),
        ("c8-ancient", PENDING, timedelta(days=30), None),
    ]:
        await insert_row(
            database,
            id=name,
            status=status,
            createdAt=now - created,
            startedAt=None if started is None else now - started,
        )

    async def find(after: Position | None = None) -> list[ExportRecord]:
        return await records.pending(
            waiting_for=minutes[2],
            running_for=minutes[10],
            younger_than=timedelta(days=7),
            after=after,
            limit=2,
        )

    first = await find()
    second = await find(Position.of(first[-1]))
    third = await find(Position.of(second[-1]))
    assert [row.id for row in first] == ["c5-stuck-without-a-time", "c4-stuck"]
    assert [row.id for row in second] == ["c2-waiting"]
    assert third == []


async def test_end_of_a_row_is_reported_once_in_the_transaction_that_wrote_it(
    database: Database,
) -> None:
    await insert_user(database)
    ends: list[tuple[str, str]] = []

    def on_ended(connection: Connection, record: ExportRecord) -> None:
        row = connection.execute(
            select(export_job.c.status).where(export_job.c.id == record.id)
        ).one()
        assert row.status is record.status
        ends.append((record.id, record.status))

    records = ExportRecords(database, on_ended=on_ended)
    first, second, third = [
        await records.create(user_id="user_1", type_="MEMBERS") for _ in range(3)
    ]
    assert records.mark_completed_sync(first.id, **WRITTEN)
    assert not records.mark_completed_sync(first.id, **WRITTEN)
    assert not await records.mark_failed(first.id, "late")
    assert await records.mark_failed(second.id, "why")
    assert await records.mark_completed(third.id, file_url="https://files.example/1")

    assert ends == [(first.id, COMPLETED), (second.id, FAILED), (third.id, COMPLETED)]


async def test_row_stays_open_when_its_end_cannot_be_reported(database: Database) -> None:
    await insert_user(database)

    def on_ended(connection: Connection, record: ExportRecord) -> None:
        raise OSError("cannot be reported")

    records = ExportRecords(database, on_ended=on_ended)
    row = await records.create(user_id="user_1", type_="MEMBERS")
    with pytest.raises(OSError, match="cannot be reported"):
        records.mark_completed_sync(row.id, **WRITTEN)
    with pytest.raises(OSError, match="cannot be reported"):
        await records.mark_failed(row.id, "why")

    left = await records.get(row.id)
    assert left is not None
    assert (left.status, left.file_url, left.error) == (PENDING, None, None)
