"""A user cannot ask for more exports than the quotas allow, however the requests arrive."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import func, select, update
from tests.integration.database.rows import insert_user

from oxcart.database.tables import export_job
from oxcart.exports.errors import ExportQuotaExceeded
from oxcart.exports.idempotency import IdempotencyKey
from oxcart.exports.quotas import ExportQuota
from oxcart.exports.records import ExportRecords

if TYPE_CHECKING:
    from oxcart.database import Database

ADA = "user_1"


@pytest.fixture
async def users(database: Database) -> None:
    await insert_user(database)


async def ask(records: ExportRecords) -> bool:
    try:
        await records.create(user_id=ADA, type_="USER_DATA")
    except ExportQuotaExceeded:
        return False
    return True


@pytest.mark.usefixtures("users")
@pytest.mark.parametrize("quota", [ExportQuota(per_hour=3), ExportQuota(unfinished=3)])
async def test_requests_that_arrive_together_are_counted_one_by_one(
    database: Database, quota: ExportQuota
) -> None:
    """Two processes ask at once, each with connections of its own."""
    processes = [ExportRecords(database, quota=quota), ExportRecords(database, quota=quota)]

    async with asyncio.TaskGroup() as tasks:
        asked = [tasks.create_task(ask(processes[number % 2])) for number in range(12)]

    assert sum(task.result() for task in asked) == 3
    async with database.read() as connection:
        query = select(func.count()).select_from(export_job)
        assert (await connection.execute(query)).scalar_one() == 3


@pytest.mark.usefixtures("users")
async def test_quota_of_the_hour_frees_a_place_when_the_oldest_request_is_an_hour_old(
    database: Database,
) -> None:
    records = ExportRecords(database, quota=ExportQuota(per_hour=2))
    first = await records.create(user_id=ADA, type_="USER_DATA")
    await set_age(database, first.id, timedelta(minutes=40))
    assert await ask(records)

    with pytest.raises(ExportQuotaExceeded) as caught:
        await records.create(user_id=ADA, type_="USER_DATA")
    await set_age(database, first.id, timedelta(minutes=61))

    assert 1100 < caught.value.retry_after_seconds <= 1200
    assert await ask(records)


@pytest.mark.usefixtures("users")
async def test_finished_forgotten_and_repeated_exports_do_not_count_as_unfinished(
    database: Database,
) -> None:
    records = ExportRecords(database, quota=ExportQuota(unfinished=2))
    finished, forgotten = [await records.create(user_id=ADA, type_="USER_DATA") for _ in range(2)]
    assert not await ask(records)

    await records.mark_failed(finished.id, "out of luck")
    await set_age(database, forgotten.id, timedelta(hours=25))
    key = IdempotencyKey.of_request("click", user_id=ADA, type_="USER_DATA", filters=None)
    made = await records.create_once(key, type_="USER_DATA")
    assert await ask(records)
    repeated = await records.create_once(key, type_="USER_DATA")
    other = IdempotencyKey.of_request("other", user_id=ADA, type_="USER_DATA", filters=None)
    with pytest.raises(ExportQuotaExceeded):
        await records.create_once(other, type_="USER_DATA")

    assert (made[0], False) == repeated
    await records.mark_failed(made[0].id, "out of luck")
    assert (await records.create_once(other, type_="USER_DATA"))[1], "a refused key is not used up"


async def set_age(database: Database, export_id: str, age: timedelta) -> None:
    changed = update(export_job).where(export_job.c.id == export_id)
    async with database.write() as connection:
        await connection.execute(changed.values(createdAt=datetime.now(UTC) - age))
