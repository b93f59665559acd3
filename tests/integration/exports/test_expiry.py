"""Files are removed when they were kept long enough, and when their user is gone."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import delete, func, select, update
from tests.integration.exports.doubles import file_names
from tests.integration.exports.site import eventually

from oxcart import JobState
from oxcart.database import ExportStatus, Role
from oxcart.database.tables import export_job, idempotency_key, user
from oxcart.exports import (
    ExportExpired,
    ExportForbidden,
    ExportNotFound,
    ExportService,
    ExportSweeper,
    IdempotencyKeyReused,
    SweepReport,
)
from oxcart.exports.jobs import ExportJobs

if TYPE_CHECKING:
    from tests.integration.exports.site import Site

NOTHING = SweepReport(expired_count=0, orphan_count=0, key_count=0)
WEEK = timedelta(days=7)


def sweeper(site: Site, keep_for: timedelta | None = WEEK, **options: object) -> ExportSweeper:
    return ExportSweeper(site.database, site.storage, keep_for=keep_for, **options)  # type: ignore[arg-type]  # options of the tests' own


def service(site: Site, keep_for: timedelta | None = WEEK) -> ExportService:
    """The site's service, whose exports expire."""
    return ExportService(
        jobs=site.jobs,
        records=site.records,
        storage=site.storage,
        signer=site.service._signer,
        keep_for=keep_for,
    )


async def finish(site: Site, *asked: tuple[str, str]) -> list[str]:
    """Have exports made, each of a type for a user; return their ids."""
    ids = [(await site.request(type_, user_id=who)).record.id for type_, who in asked]
    async with site.worker():
        for export_id in ids:
            await (await site.job(export_id)).result()
    return ids


async def set_row(site: Site, export_id: str, **values: object) -> None:
    async with site.database.write() as connection:
        await connection.execute(
            update(export_job).where(export_job.c.id == export_id).values(**values)
        )


async def age(site: Site, export_id: str, by: timedelta) -> None:
    completed_at = (await site.record(export_id)).completed_at
    assert completed_at is not None
    await set_row(site, export_id, completedAt=completed_at - by)


async def set_role(site: Site, user_id: str, role: Role) -> None:
    async with site.database.write() as connection:
        await connection.execute(update(user).where(user.c.id == user_id).values(role=role))


async def test_expired_export_loses_its_file_and_its_url_once(site: Site) -> None:
    """Several sweepers run at once; the row stays COMPLETED, as the site's readers know it."""
    old, young, failed = await finish(
        site, ("MEMBERS", "user_admin"), ("ANALYTICS", "user_admin"), ("ANALYTICS", "user_student")
    )
    await age(site, old, WEEK + timedelta(minutes=1))
    await age(site, young, WEEK - timedelta(minutes=1))
    foreign = "https://cdn.example/exports/1.json"
    await set_row(site, failed, fileUrl=foreign)
    await age(site, failed, WEEK * 2)

    async with asyncio.TaskGroup() as group:
        sweeps = [group.create_task(sweeper(site, batch=1).sweep()) for _ in range(3)]
    reports = [one.result() for one in sweeps]
    again = await sweeper(site).sweep()

    assert sum(report.expired_count for report in reports) == 1
    assert again == NOTHING
    assert f"{old}.csv" not in file_names(site.storage)
    assert f"{young}.json" in file_names(site.storage)
    record = await site.record(old)
    assert (record.status, record.file_url) == (ExportStatus.COMPLETED, None)
    assert record.expired_at is not None
    assert service(site).expires_at(record) == record.expired_at
    assert (await site.record(failed)).file_url == foreign
    with pytest.raises(ExportExpired):
        await service(site).open_file(old, user_id="user_admin")


async def test_download_is_refused_from_the_minute_of_the_expiry(sqlite_site: Site) -> None:
    (export_id,) = await finish(sqlite_site, ("ANALYTICS", "user_student"))
    url = sqlite_site.service.signed_url(await sqlite_site.record(export_id))
    assert url is not None
    query = dict(part.split("=") for part in url.partition("?")[2].split("&"))
    await service(sqlite_site).open_file(export_id, **query)
    await age(sqlite_site, export_id, WEEK)

    with pytest.raises(ExportExpired):
        await service(sqlite_site).open_file(export_id, **query)
    record = await sqlite_site.record(export_id)
    assert service(sqlite_site).signed_url(record) is None
    assert service(sqlite_site, keep_for=None).expires_at(record) is None
    await service(sqlite_site, keep_for=None).open_file(export_id, **query)


async def test_files_of_a_deleted_user_are_removed_and_no_other_file_is(site: Site) -> None:
    gone, kept = await finish(site, ("USER_DATA", "user_student"), ("ANALYTICS", "user_admin"))
    url = site.service.signed_url(await site.record(gone))
    assert url is not None
    query = dict(part.split("=") for part in url.partition("?")[2].split("&"))
    half_written = f".{gone}.zip.{'0' * 16}.part"
    for name in ("report.csv", "c123.csv", f"{kept[:-1]}.json", half_written):
        (site.storage.folder / name).write_text("x")
    async with site.database.write() as connection:
        await connection.execute(delete(user).where(user.c.id == "user_student"))

    with pytest.raises(ExportNotFound):
        await site.service.open_file(gone, **query)
    report = await sweeper(site, keep_for=None, batch=1).sweep()

    assert report == SweepReport(expired_count=0, orphan_count=1, key_count=0)
    expected = sorted(["report.csv", "c123.csv", f"{kept[:-1]}.json", f"{kept}.json"])
    assert file_names(site.storage) == expected


async def test_export_whose_user_goes_while_it_is_written_leaves_no_file(
    sqlite_site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = sqlite_site
    export_id = (await site.request("ANALYTICS", user_id="user_student")).record.id
    finish_row = ExportJobs._finish

    def delete_first(self: ExportJobs, *arguments: object) -> bool:
        with site.database.write_sync() as connection:
            connection.execute(delete(user).where(user.c.id == "user_student"))
        return finish_row(self, *arguments)  # type: ignore[arg-type]  # passed on

    monkeypatch.setattr(ExportJobs, "_finish", delete_first)
    async with site.worker():
        await site.wait_for_state(export_id, JobState.FAILED)

    assert file_names(site.storage) == []


@pytest.mark.parametrize("type_", ["MEMBERS", "WIKI_PAGES"])
async def test_owner_who_is_no_longer_staff_loses_what_only_staff_may_see(
    site: Site, type_: str
) -> None:
    (export_id,) = await finish(site, (type_, "user_staff"))
    url = site.service.signed_url(await site.record(export_id))
    assert url is not None
    query = dict(part.split("=") for part in url.partition("?")[2].split("&"))
    await site.service.open_file(export_id, user_id="user_staff")

    await set_role(site, "user_staff", Role.STUDENT)

    with pytest.raises(ExportForbidden, match="only the roles ADMIN and STAFF"):
        await site.service.open_file(export_id, user_id="user_staff")
    with pytest.raises(ExportForbidden):
        await site.service.open_file(export_id, **query)
    await site.service.open_any_file(export_id)
    await set_role(site, "user_staff", Role.ADMIN)
    await site.service.open_file(export_id, **query)


async def test_pages_that_everybody_may_see_stay_with_their_owner(sqlite_site: Site) -> None:
    (export_id,) = await finish(sqlite_site, ("WIKI_PAGES", "user_student"))
    await set_role(sqlite_site, "user_student", Role.PENDING_STAFF)

    await sqlite_site.service.open_file(export_id, user_id="user_student")


async def test_sweeper_of_a_running_program_sweeps_by_itself(
    sqlite_site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    (export_id,) = await finish(sqlite_site, ("ANALYTICS", "user_student"))
    await age(sqlite_site, export_id, WEEK)
    running = sweeper(sqlite_site, interval=timedelta(milliseconds=20))

    async def is_expired() -> bool:
        return (await sqlite_site.record(export_id)).expired_at is not None

    caplog.set_level("INFO", "oxcart.exports")
    async with asyncio.TaskGroup() as group:
        task = group.create_task(running.run())
        await eventually(is_expired, what="the export to expire")
        task.cancel()
    expired = [one for one in caplog.records if one.getMessage() == "export.expired"]
    assert [one.__dict__["job_id"] for one in expired] == [export_id]


async def test_trouble_is_logged_once_and_does_not_end_the_sweeper(
    sqlite_site: Site, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    running = sweeper(sqlite_site)

    def broken() -> set[str]:
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr(sqlite_site.storage, "list_keys", broken)
        await running.try_sweep()
        await running.try_sweep()
    await running.try_sweep()

    told = [one for one in caplog.records if one.getMessage() == "export.sweep_failed"]
    assert len(told) == 1


async def test_key_makes_one_export_of_requests_at_the_same_time(site: Site) -> None:
    admin = await site.user("user_admin")
    filters = {"role": "STUDENT"}
    ask = site.service.request_export
    async with asyncio.TaskGroup() as group:
        clicks = [
            group.create_task(ask(admin, "MEMBERS", filters, idempotency_key="click"))
            for _ in range(8)
        ]
    asked = [click.result() for click in clicks]

    assert len({one.record.id for one in asked}) == 1
    assert sorted(one.is_repeated for one in asked) == [False] + [True] * 7
    assert {one.job_id for one in asked} == {asked[0].record.id}
    assert (await site.jobs.queue.get_counts()).waiting == 1


async def test_key_belongs_to_a_user_a_request_and_a_day(site: Site) -> None:
    admin, student = await site.user("user_admin"), await site.user("user_student")
    ask = site.service.request_export
    first = await ask(admin, "ANALYTICS", idempotency_key="click")
    with pytest.raises(IdempotencyKeyReused):
        await ask(admin, "USER_DATA", idempotency_key="click")
    foreign = await ask(student, "ANALYTICS", {}, idempotency_key="click")
    assert not foreign.is_repeated

    async with site.database.write() as connection:
        mine = idempotency_key.c.user_id == "user_admin"
        earlier = datetime.now(UTC) - timedelta(days=1, seconds=1)
        await connection.execute(update(idempotency_key).where(mine).values(created_at=earlier))
    report = await sweeper(site).sweep()
    anew = await ask(admin, "USER_DATA", idempotency_key="click")

    assert report.key_count == 1
    assert not anew.is_repeated
    assert anew.record.id != first.record.id


async def test_key_holds_while_redis_is_away_and_after_the_export_was_deleted(
    sqlite_site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = sqlite_site
    admin = await site.user("user_admin")
    monkeypatch.setattr(type(site.service._gate), "is_open", property(lambda _: False))
    first = await site.service.request_export(admin, "ANALYTICS", idempotency_key="click")
    second = await site.service.request_export(admin, "ANALYTICS", idempotency_key="click")
    assert (first.job_id, second.job_id) == (None, None)
    assert second.record == first.record
    monkeypatch.undo()
    third = await site.service.request_export(admin, "ANALYTICS", idempotency_key="click")
    assert third.job_id == first.record.id

    async with site.database.write() as connection:
        await connection.execute(delete(export_job).where(export_job.c.id == first.record.id))
    fourth = await site.service.request_export(admin, "ANALYTICS", idempotency_key="click")
    fifth = await site.service.request_export(admin, "ANALYTICS", idempotency_key="click")

    assert not fourth.is_repeated
    assert fifth.record.id == fourth.record.id
    async with site.database.read() as connection:
        count = await connection.scalar(select(func.count()).select_from(export_job))
    assert count == 1
