from __future__ import annotations

import json
import zipfile
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import update
from tests.integration.exports.doubles import file_names

from oxcart import JobState, Retention, exponential
from oxcart.database import ExportStatus, Role
from oxcart.database.tables import user
from oxcart.errors import JobFailed
from oxcart.exports import ExportRecords

if TYPE_CHECKING:
    import redis
    from tests.integration.exports.site import Site

EXTENSIONS = {"USER_DATA": "zip", "WIKI_PAGES": "csv", "MEMBERS": "csv", "ANALYTICS": "json"}


@pytest.mark.parametrize("type_", EXTENSIONS)
async def test_an_export_goes_from_the_request_to_its_file(site: Site, type_: str) -> None:
    requested = await site.request(type_)
    export_id = requested.record.id
    assert requested.job_id == export_id
    assert requested.record.status is ExportStatus.PENDING

    async with site.worker():
        url = await (await site.job(export_id)).result()

    assert url == f"https://club.example/api/exports/{export_id}/file"
    record = await site.record(export_id)
    assert (record.status, record.file_url, record.attempts) == (ExportStatus.COMPLETED, url, 1)
    assert record.completed_at is not None
    assert file_names(site.storage) == [f"{export_id}.{EXTENSIONS[type_]}"]
    file = await site.service.open_file(export_id, user_id="user_admin")
    path = site.storage.local_path(file.key)
    assert (file.size_bytes, file.sha256) == (path.stat().st_size, record.sha256)
    assert record.size_bytes == file.size_bytes
    with file.open() as opened:
        assert opened.read() == path.read_bytes()


async def test_what_was_written_can_be_read(sqlite_site: Site) -> None:
    site = sqlite_site
    ids = {type_: (await site.request(type_)).record.id for type_ in EXTENSIONS}
    async with site.worker():
        for export_id in ids.values():
            await (await site.job(export_id)).result()

    with zipfile.ZipFile(site.storage.local_path(f"{ids['USER_DATA']}.zip")) as archive:
        assert archive.testzip() is None
    analytics = site.storage.local_path(f"{ids['ANALYTICS']}.json").read_text()
    assert json.loads(analytics)["userId"] == "user_admin"
    members = site.storage.local_path(f"{ids['MEMBERS']}.csv").read_bytes()
    assert members.count(b"@students.") >= 1_000
    assert (await site.record(ids["MEMBERS"])).rows == 1_200


async def test_progress_is_in_the_job_when_it_is_done(sqlite_site: Site) -> None:
    requested = await sqlite_site.request("MEMBERS")
    async with sqlite_site.worker():
        await (await sqlite_site.job(requested.record.id)).result()

    job = await sqlite_site.job(requested.record.id)
    assert job.progress == {"percent": 100, "rows": 1_200, "total": 1_200, "phase": "done"}


async def test_job_on_the_wire_is_as_the_site_writes_it(
    sqlite_site: Site, valkey: redis.Redis, prefix: str
) -> None:
    """The names, the payload and the options of the old system, so that either may run it."""
    plain = (await sqlite_site.request("ANALYTICS")).record
    filtered = (await sqlite_site.request("MEMBERS", filters={"role": "ADMIN"})).record

    stored: Any = valkey.hgetall(f"{prefix}:export:{filtered.id}")
    assert stored[b"name"] == b"MEMBERS"
    assert json.loads(stored[b"data"]) == {
        "exportJobId": filtered.id,
        "userId": "user_admin",
        "type": "MEMBERS",
        "filters": {"role": "ADMIN"},
    }
    options = json.loads(stored[b"opts"])
    assert options["attempts"] == 3
    assert options["backoff"] == {"type": "exponential", "delay": 2_000}
    assert options["removeOnComplete"] == {"count": 50, "age": 7 * 86_400}
    assert options["removeOnFail"] == {"count": 25, "age": 30 * 86_400}
    assert options["jobId"] == filtered.id
    without: Any = valkey.hget(f"{prefix}:export:{plain.id}", "data")
    assert "filters" not in json.loads(without)


async def add_as_the_site_does(
    site: Site, export_id: str, name: str = "MEMBERS", **data: Any
) -> None:
    payload = {"exportJobId": export_id, "userId": "user_admin", "type": name} | data
    await site.jobs.queue.add(
        name,
        payload,
        job_id=export_id,
        attempts=3,
        backoff=exponential("2s"),
        keep_completed=Retention(count=50, age="7d"),
        keep_failed=Retention(count=25, age="30d"),
    )


async def make_row(site: Site, type_: str = "MEMBERS", user_id: str = "user_admin") -> str:
    """Make a row whose job is still to be queued."""

    record = await ExportRecords(site.database).create(user_id=user_id, type_=type_)
    return record.id


async def test_job_that_the_site_queued_is_run_with_its_filters(site: Site) -> None:
    export_id = await make_row(site)
    await add_as_the_site_does(site, export_id, filters={"role": "STAFF"}, more="is ignored")

    async with site.worker():
        await (await site.job(export_id)).result()
    rows = site.storage.local_path(f"{export_id}.csv").read_text().splitlines()
    assert all(",STAFF," in row for row in rows[1:])
    assert len(rows) > 1


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"filters": {"password": "x"}}, "MEMBERS has no filter 'password'"),
        ({"filters": {"role": "KING"}}, "'role' must be one of"),
        ({"filters": ["role"]}, "Expected `object"),
        ({"userId": "user_staff"}, "does not fit the export"),
        ({"type": "ANALYTICS"}, "does not fit the export"),
        ({"exportJobId": "cother"}, "does not fit the export"),
        ({"exportJobId": None}, "exportJobId"),
    ],
)
async def test_job_that_can_never_work_fails_at_once_with_the_reason(
    sqlite_site: Site, changes: dict[str, Any], reason: str
) -> None:
    export_id = await make_row(sqlite_site)
    await add_as_the_site_does(sqlite_site, export_id, **changes)

    async with sqlite_site.worker():
        with pytest.raises(JobFailed, match=reason):
            await (await sqlite_site.job(export_id)).result()
        record = await sqlite_site.wait_for_end(export_id)
    job = await sqlite_site.job(export_id)
    assert (record.status, job.attempts_made) == (ExportStatus.FAILED, 1)
    assert record.error == job.failed_reason
    assert file_names(sqlite_site.storage) == []


async def test_job_without_a_row_fails_for_good(sqlite_site: Site) -> None:
    await add_as_the_site_does(sqlite_site, "cnorow")

    async with sqlite_site.worker():
        with pytest.raises(JobFailed, match="no export 'cnorow' in the database"):
            await (await sqlite_site.job("cnorow")).result()
    assert (await sqlite_site.job("cnorow")).attempts_made == 1


async def test_rights_that_went_after_the_request_fail_the_job(sqlite_site: Site) -> None:
    requested = await sqlite_site.request("MEMBERS", user_id="user_staff")
    async with sqlite_site.database.write() as connection:
        await connection.execute(
            update(user).where(user.c.id == "user_staff").values(role=Role.STUDENT)
        )

    async with sqlite_site.worker():
        with pytest.raises(JobFailed, match="only the roles ADMIN and STAFF"):
            await (await sqlite_site.job(requested.record.id)).result()
        record = await sqlite_site.wait_for_end(requested.record.id)
    assert record.status is ExportStatus.FAILED


async def test_late_duplicate_of_a_completed_export_changes_nothing(sqlite_site: Site) -> None:
    """As after a worker that died between the row's end and the job's."""
    export_id = (await sqlite_site.request("MEMBERS")).record.id
    async with sqlite_site.worker():
        await (await sqlite_site.job(export_id)).result()
        record = await sqlite_site.record(export_id)
        path = sqlite_site.storage.local_path(f"{export_id}.csv")
        written = path.stat()

        await sqlite_site.jobs.queue.remove(export_id)
        await sqlite_site.jobs.enqueue(record)
        url = await (await sqlite_site.job(export_id)).result()

    assert url == record.file_url
    assert await sqlite_site.record(export_id) == record
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (written.st_ino, written.st_mtime_ns)


async def test_failed_attempt_that_will_be_repeated_leaves_the_row_processing(
    sqlite_site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """FAILED only when the attempts are used up; an operator's retry then begins again."""
    site, fails = sqlite_site, [3]
    create = site.storage.create

    def failing_create(key: str) -> Any:
        if fails[0]:
            fails[0] -= 1
            raise OSError("the disk is on fire")
        return create(key)

    monkeypatch.setattr(type(site.storage), "create", lambda _, key: failing_create(key))
    export_id = (await site.request("MEMBERS")).record.id
    seen = []
    async with site.worker():
        for _ in range(2):
            await site.wait_for_state(export_id, JobState.DELAYED)
            seen.append((await site.record(export_id)).status)
            await site.jobs.queue.promote(export_id)
        with pytest.raises(JobFailed, match="on fire"):
            await (await site.job(export_id)).result()

        failed = await site.wait_for_end(export_id)
        await site.jobs.queue.retry(export_id)
        await site.wait_for_state(export_id, JobState.COMPLETED)

    assert seen == [ExportStatus.PROCESSING, ExportStatus.PROCESSING]
    assert (failed.status, failed.attempts) == (ExportStatus.FAILED, 3)
    assert failed.error is not None
    assert "on fire" in failed.error
    record = await site.record(export_id)
    assert (record.status, record.error) == (ExportStatus.COMPLETED, None)
