from __future__ import annotations

import asyncio
import logging
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from tests.integration.exports.site import Site, eventually, open_site

from oxcart import JobState
from oxcart.database import Database, ExportStatus
from oxcart.database.ids import new_id
from oxcart.database.tables import export_job
from oxcart.exports import ExportRecords, Outbox

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    import redis
    from tests.support import ValkeyServer

AT_ONCE = timedelta(0)
SOON = timedelta(milliseconds=50)


def outbox_of(site: Site, **options: Any) -> Outbox:
    """Return an outbox that does not wait for rows to grow old."""
    defaults = {"interval": SOON, "waiting_for": -SOON, "running_for": -SOON}
    records = ExportRecords(site.database)
    return Outbox(jobs=site.jobs, records=records, **(defaults | options))


@asynccontextmanager
async def running(outbox: Outbox) -> AsyncIterator[None]:
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(outbox.run())
        yield
        task.cancel()


async def insert_rows(site: Site, count: int = 1, **changes: object) -> list[str]:
    """Put rows in as oxcart does when it could not queue them; return their ids."""
    rows = [
        {
            "id": new_id(),
            "userId": "user_admin",
            "type": "ANALYTICS",
            "status": ExportStatus.PENDING,
            "createdAt": datetime.now(UTC),
            "filters": {},
        }
        | changes
        for _ in range(count)
    ]
    async with site.database.write() as connection:
        await connection.execute(export_job.insert(), rows)
    return [str(row["id"]) for row in rows]


async def test_row_without_a_job_is_queued_and_exported(site: Site) -> None:
    (export_id,) = await insert_rows(site)

    async with site.worker(), running(outbox_of(site)):
        record = await site.wait_for_end(export_id)
    assert record.status is ExportStatus.COMPLETED


@pytest.mark.parametrize("status", [ExportStatus.PENDING, ExportStatus.PROCESSING])
@pytest.mark.parametrize("adopts_all", [False, True])
async def test_rows_of_the_site_are_queued_only_if_the_setting_says_so(
    sqlite_site: Site, adopts_all: bool, status: ExportStatus
) -> None:
    """Their filters are not known, and some are not meant to be exported by a job at all."""
    (theirs,) = await insert_rows(sqlite_site, filters=None, status=status)
    (ours,) = await insert_rows(sqlite_site, status=status)

    await outbox_of(sqlite_site, adopts_all=adopts_all).look()

    assert await sqlite_site.state(ours) is JobState.WAITING
    expected = JobState.WAITING if adopts_all else JobState.UNKNOWN
    assert await sqlite_site.state(theirs) is expected
    record = await ExportRecords(sqlite_site.database).get(theirs)
    assert record is not None
    assert record.status is status


async def test_row_queued_by_the_outbox_keeps_its_filters(sqlite_site: Site) -> None:
    record = await ExportRecords(sqlite_site.database).create(
        user_id="user_admin", type_="MEMBERS", filters={"role": "ADMIN"}
    )

    looked = await outbox_of(sqlite_site).look()
    job = await sqlite_site.job(record.id)
    assert (looked.seen, looked.queued) == (1, 1)
    assert job.name == "MEMBERS"
    assert isinstance(job.data, dict)
    assert job.data["filters"] == {"role": "ADMIN"}


async def test_row_whose_job_waits_is_left_alone(sqlite_site: Site) -> None:
    requested = await sqlite_site.request("ANALYTICS")

    looked = await outbox_of(sqlite_site).look()
    assert (looked.seen, looked.queued, looked.settled) == (1, 0, 0)
    assert await sqlite_site.state(requested.record.id) is JobState.WAITING


async def test_young_rows_are_left_to_the_request_that_made_them(sqlite_site: Site) -> None:
    await insert_rows(sqlite_site)

    looked = await sqlite_site.outbox.look()
    assert looked.seen == 0


async def test_several_outboxes_queue_a_row_once(sqlite_site: Site) -> None:
    ids = await insert_rows(sqlite_site, 20)

    async with asyncio.TaskGroup() as tasks:
        for _ in range(4):
            tasks.create_task(outbox_of(sqlite_site).look())
    counts = await sqlite_site.jobs.queue.get_counts()
    assert counts.waiting == len(ids)


async def test_looks_are_bounded_and_go_on_where_the_last_one_stopped(sqlite_site: Site) -> None:
    """Rows whose job waits must not keep those behind them from being seen."""
    for _ in range(5):
        await sqlite_site.request("ANALYTICS")
    ids = await insert_rows(sqlite_site, 2)
    outbox = outbox_of(sqlite_site, batch=3)

    looks = [await outbox.look() for _ in range(4)]
    assert [look.seen for look in looks] == [3, 3, 1, 3]
    assert sum(look.queued for look in looks) == 2
    assert await sqlite_site.state(ids[0]) is JobState.WAITING


async def test_begun_export_whose_job_vanished_is_queued_again(sqlite_site: Site) -> None:
    """As after Redis was emptied."""
    (export_id,) = await insert_rows(sqlite_site, status=ExportStatus.PROCESSING)

    async with sqlite_site.worker():
        await outbox_of(sqlite_site).look()
        record = await sqlite_site.wait_for_end(export_id)
    assert record.status is ExportStatus.COMPLETED


async def test_open_row_of_a_failed_job_is_settled(
    sqlite_site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after a worker that died before it could say so to the database."""
    (export_id,) = await insert_rows(sqlite_site)
    monkeypatch.setattr(ExportRecords, "mark_failed", _nothing)
    await sqlite_site.jobs.queue.add("ANALYTICS", {"exportJobId": 5}, job_id=export_id)
    async with sqlite_site.worker():
        await sqlite_site.wait_for_state(export_id, JobState.FAILED)
    assert (await sqlite_site.record(export_id)).is_open
    monkeypatch.undo()

    looked = await outbox_of(sqlite_site).look()
    record = await sqlite_site.record(export_id)
    assert looked.settled == 1
    assert record.status is ExportStatus.FAILED
    assert record.error == (await sqlite_site.job(export_id)).failed_reason


async def test_open_row_of_a_completed_job_is_settled(
    sqlite_site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    (export_id,) = await insert_rows(sqlite_site)
    monkeypatch.setattr(ExportRecords, "mark_completed_sync", lambda *_, **__: True)
    async with sqlite_site.worker():
        await outbox_of(sqlite_site).look()
        await sqlite_site.wait_for_state(export_id, JobState.COMPLETED)
    assert (await sqlite_site.record(export_id)).is_open

    await outbox_of(sqlite_site).look()
    record = await sqlite_site.record(export_id)
    assert record.status is ExportStatus.COMPLETED
    assert record.file_url == f"https://club.example/api/exports/{export_id}/file"


@pytest.mark.parametrize("row_id", ["12345", "a:b", "active"])
async def test_row_whose_id_cannot_be_a_jobs_fails_alone(sqlite_site: Site, row_id: str) -> None:
    await insert_rows(sqlite_site, id=row_id)
    (good,) = await insert_rows(sqlite_site)

    await outbox_of(sqlite_site).look()
    record = await sqlite_site.record(row_id)
    assert record.status is ExportStatus.FAILED
    assert row_id in (record.error or "")
    assert await sqlite_site.state(good) is JobState.WAITING


async def test_open_row_of_a_failed_job_that_cannot_be_read_is_settled(
    sqlite_site: Site, valkey: redis.Redis, prefix: str
) -> None:
    (export_id,) = await insert_rows(sqlite_site)
    valkey.set(f"{prefix}:export:{export_id}", "not a hash")
    valkey.zadd(f"{prefix}:export:failed", {export_id: 1})

    await outbox_of(sqlite_site).look()
    record = await sqlite_site.record(export_id)
    assert (record.status, record.error) == (
        ExportStatus.FAILED,
        "the job failed; its reason is not known",
    )


async def test_row_that_cannot_be_queued_is_skipped_and_named_once(
    sqlite_site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    await insert_rows(sqlite_site, filters=["not an object"])
    (good,) = await insert_rows(sqlite_site)
    outbox = outbox_of(sqlite_site)

    await outbox.look()
    await outbox.look()
    assert await sqlite_site.state(good) is JobState.WAITING
    assert [entry.message for entry in caplog.records if entry.levelno >= logging.WARNING] == [
        "export.outbox_skips"
    ]


async def test_request_while_redis_is_away_stays_pending_until_it_is_back(
    sqlite_club_url: str,
    own_valkey: ValkeyServer,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The outage is logged once, requests answer at once, and nothing that was asked is lost."""
    caplog.set_level(logging.INFO, "oxcart.exports")
    async with (
        Database(sqlite_club_url) as database,
        open_site(database, valkey_url=own_valkey.url, prefix="t", folder=tmp_path) as site,
    ):
        before = await site.request("ANALYTICS")
        own_valkey.kill()
        async with asyncio.timeout(5):
            during = [await site.request("MEMBERS") for _ in range(20)]
        states = [(await site.record(one.record.id)).status for one in during]
        async with site.worker(), running(outbox_of(site)):
            await eventually(
                lambda: _logged(caplog, "export.outbox_waits"), what="the outbox to notice"
            )
            own_valkey.start()
            for one in (before, *during):
                record = await site.wait_for_end(one.record.id)
                assert record.status is ExportStatus.COMPLETED

    assert before.job_id == before.record.id
    assert {one.job_id for one in during} == {None}
    assert set(states) == {ExportStatus.PENDING}
    messages = [entry.message for entry in caplog.records]
    assert messages.count("export.outbox_waits") == 1
    assert messages.count("export.outbox_resumed") == 1
    assert messages.count("export.left_to_outbox") == 1


async def test_outbox_outlives_the_database_too(
    sqlite_site: Site, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "oxcart.exports")
    with monkeypatch.context() as patch:
        patch.setattr(ExportRecords, "pending", _unavailable)
        async with running(outbox_of(sqlite_site)):
            await eventually(
                lambda: _logged(caplog, "export.outbox_waits"), what="the outbox to notice"
            )
            patch.undo()
            await eventually(
                lambda: _logged(caplog, "export.outbox_resumed"), what="the outbox to go on"
            )


async def _logged(caplog: pytest.LogCaptureFixture, message: str) -> bool:
    return any(entry.message == message for entry in caplog.records)


async def _nothing(*_: object) -> bool:
    return False


async def _unavailable(*_: object, **__: object) -> None:
    raise RuntimeError("no such table")
