from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest

from oxcart import JobState
from oxcart.database import ExportStatus, Users
from oxcart.exports import (
    BadFilter,
    ExportForbidden,
    ExportNotFound,
    ExportNotReady,
    ExportRecords,
    LinkInvalid,
    UnknownExportType,
    UnknownFilter,
)

if TYPE_CHECKING:
    from tests.integration.exports.site import Site

FOREIGN = "https://cdn.example/exports/1.csv"


async def finished(site: Site, type_: str = "ANALYTICS", user_id: str = "user_student") -> str:
    """Ask for an export, run it and return its id."""
    export_id = (await site.request(type_, user_id=user_id)).record.id
    async with site.worker():
        await (await site.job(export_id)).result()
    return export_id


@pytest.mark.parametrize(
    ("user_id", "type_", "filters", "error"),
    [
        ("user_admin", "EVERYTHING", None, UnknownExportType),
        ("user_student", "MEMBERS", None, ExportForbidden),
        ("user_pending", "MEMBERS", {"role": "ADMIN"}, ExportForbidden),
        ("user_student", "WIKI_PAGES", {"published": False}, ExportForbidden),
        ("user_admin", "MEMBERS", {"password": "x"}, UnknownFilter),
        ("user_admin", "WIKI_PAGES", {"published": "yes"}, BadFilter),
    ],
)
async def test_request_that_is_refused_leaves_no_row(
    sqlite_site: Site, user_id: str, type_: str, filters: dict[str, Any] | None, error: type
) -> None:
    with pytest.raises(error):
        await sqlite_site.request(type_, user_id=user_id, filters=filters)

    page = await sqlite_site.service.list_exports(user_id)
    assert page.records == ()
    assert (await sqlite_site.jobs.queue.get_counts()).waiting == 0


async def test_list_goes_through_all_pages_and_shows_only_ones_own(site: Site) -> None:
    ids = [(await site.request("ANALYTICS", user_id="user_student")).record.id for _ in range(7)]
    await site.request("ANALYTICS", user_id="user_admin")
    service = site.service

    seen: list[str] = []
    sizes, cursor = [], None
    while True:
        page = await service.list_exports("user_student", cursor=cursor, limit=3)
        seen += [record.id for record in page.records]
        sizes.append(len(page.records))
        cursor = page.next_cursor
        if cursor is None:
            break
    assert sizes == [3, 3, 1]
    assert sorted(seen) == sorted(ids)
    times = [(await site.record(export_id)).created_at for export_id in seen]
    assert times == sorted(times, reverse=True)


async def test_list_of_exactly_a_page_has_no_next(sqlite_site: Site) -> None:
    for _ in range(3):
        await sqlite_site.request("ANALYTICS")

    page = await sqlite_site.service.list_exports("user_admin", limit=3)
    assert (len(page.records), page.next_cursor) == (3, None)


async def test_list_of_one_status(sqlite_site: Site) -> None:
    done = await finished(sqlite_site)
    waiting = (await sqlite_site.request("ANALYTICS", user_id="user_student")).record.id
    service = sqlite_site.service

    for status, expected in [("COMPLETED", done), ("PENDING", waiting)]:
        page = await service.list_exports("user_student", status=status)
        assert [record.id for record in page.records] == [expected]


@pytest.mark.parametrize(
    "arguments",
    [
        {"status": "completed"},
        {"status": ""},
        {"limit": 0},
        {"limit": 51},
        {"cursor": ""},
        {"cursor": "nonsense!"},
        {"cursor": "ü"},
        {"cursor": "OTk5OTk5OTk5OTk5OTk5OTk5OS5j"},
        {"cursor": "MTAwMC4A"},
    ],
)
async def test_list_refuses_what_makes_no_sense(
    sqlite_site: Site, arguments: dict[str, Any]
) -> None:
    with pytest.raises(BadFilter, match=next(iter(arguments))):
        await sqlite_site.service.list_exports("user_admin", **arguments)


async def test_export_is_shown_to_its_owner_and_operators_only(sqlite_site: Site) -> None:
    record = (await sqlite_site.request("ANALYTICS", user_id="user_student")).record
    service = sqlite_site.service

    assert await service.get_export(record.id, "user_student") == record
    assert await service.get_export(record.id, None) == record
    with pytest.raises(ExportNotFound):
        await service.get_export(record.id, "user_admin")
    with pytest.raises(ExportNotFound):
        await service.get_export("cnone", None)


async def test_signed_link_opens_the_file_for_whoever_has_it(sqlite_site: Site) -> None:
    export_id = await finished(sqlite_site)
    service = sqlite_site.service

    link = service.signed_url(await sqlite_site.record(export_id))
    assert link is not None
    given = {name: values[0] for name, values in parse_qs(urlsplit(link).query).items()}
    file = await service.open_file(export_id, **given)
    assert file.media_type == "application/json"
    assert file.filename.startswith("analytics-20")
    assert file.filename.endswith(".json")
    given["signature"] = given["signature"][::-1]
    with pytest.raises(LinkInvalid):
        await service.open_file(export_id, **given)


async def test_file_needs_a_link_or_its_owner(sqlite_site: Site) -> None:
    export_id = await finished(sqlite_site)
    service = sqlite_site.service

    assert (await service.open_file(export_id, user_id="user_student")).size_bytes > 0
    with pytest.raises(ExportNotFound):
        await service.open_file(export_id, user_id="user_admin")
    with pytest.raises(LinkInvalid):
        await service.open_file(export_id)
    with pytest.raises(LinkInvalid):
        await service.open_file(export_id, expires="9999999999", user_id="user_student")


async def test_unfinished_export_has_neither_link_nor_file(sqlite_site: Site) -> None:
    record = (await sqlite_site.request("ANALYTICS")).record
    service = sqlite_site.service

    assert service.signed_url(record) is None
    with pytest.raises(ExportNotReady, match="PENDING"):
        await service.open_file(record.id, user_id="user_admin")


async def test_file_that_is_no_longer_kept_is_not_found(sqlite_site: Site) -> None:
    export_id = await finished(sqlite_site)
    sqlite_site.storage.delete(f"{export_id}.json")

    with pytest.raises(ExportNotFound, match="no longer"):
        await sqlite_site.service.open_file(export_id, user_id="user_student")


async def test_report_of_a_workers_end_sets_the_row(site: Site) -> None:
    records = ExportRecords(site.database)
    good, bad = [(await records.create(user_id="user_admin", type_="MEMBERS")).id for _ in range(2)]
    service = site.service

    done = await service.report_event("completed", good, result=FOREIGN)
    failed = await service.report_event("failed", bad, error="out of paper")
    assert done is not None
    assert (done.status, done.file_url) == (ExportStatus.COMPLETED, FOREIGN)
    assert service.signed_url(done) == FOREIGN
    assert failed is not None
    assert (failed.status, failed.error) == (ExportStatus.FAILED, "out of paper")
    assert await service.report_event("failed", "cnone") is None


async def test_late_report_does_not_change_a_completed_export(sqlite_site: Site) -> None:
    export_id = await finished(sqlite_site)
    record = await sqlite_site.record(export_id)
    service = sqlite_site.service

    assert await service.report_event("failed", export_id, error="late") == record
    assert await service.report_event("completed", export_id, result=FOREIGN) == record


@pytest.mark.parametrize("result", [None, "javascript:alert(1)", {"url": FOREIGN}, 5, ""])
async def test_reported_result_that_is_no_web_address_is_not_offered(
    sqlite_site: Site, result: Any
) -> None:
    record = (await sqlite_site.request("MEMBERS")).record

    done = await sqlite_site.service.report_event("completed", record.id, result=result)
    assert done is not None
    assert (done.status, done.file_url) == (ExportStatus.COMPLETED, None)
    assert sqlite_site.service.signed_url(done) is None


@pytest.mark.parametrize("odd", ["a\x00b", "a\ud800b", "", "x" * 10_000, "../x", "'"])
async def test_odd_ids_are_not_found(site: Site, odd: str) -> None:
    service = site.service

    with pytest.raises(ExportNotFound):
        await service.get_export(odd, None)
    with pytest.raises(ExportNotFound):
        await service.open_file(odd, user_id="user_admin")
    with pytest.raises(LinkInvalid):
        await service.open_file(odd, expires="1", signature="x")
    assert await service.report_event("failed", odd, error=odd) is None
    assert await service.report_event("completed", odd, result="https://x.example/" + odd) is None
    assert (await service.list_exports(odd)).records == ()
    assert await Users(site.database).get(odd) is None


async def test_reported_reason_of_any_kind_is_kept(site: Site) -> None:
    record = (await site.request("MEMBERS")).record

    done = await site.service.report_event("failed", record.id, error="a\x00b\ud800c")
    assert done is not None
    assert done.error == "abc"


async def test_two_requests_are_two_exports(sqlite_site: Site) -> None:
    first, second = [await sqlite_site.request("ANALYTICS") for _ in range(2)]

    assert first.record.id != second.record.id
    assert await sqlite_site.state(second.record.id) is JobState.WAITING
