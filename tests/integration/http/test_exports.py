"""Exports by HTTP, on the real system: asked for, followed, downloaded."""

from __future__ import annotations

import hashlib
import io
import zipfile
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
import pytest
from tests.integration.exports.site import eventually
from tests.integration.http.running import (
    ADA,
    BOB,
    OPERATOR,
    STAFF,
    acting_for,
    add_users,
    connected,
    make_settings,
    until_finished,
    working,
)
from tests.support import wait_until

from oxcart.database.tables import export_job
from oxcart.database.types import ExportStatus
from oxcart.exports import ExportSweeper, LinkSigner, LocalStorage, signing_secret
from oxcart.exports.reasons import FAILED
from oxcart.http.problems import MEDIA_TYPE
from oxcart.system import System, open_system


async def ask(client: httpx2.AsyncClient, type_: str = "USER_DATA") -> str:
    response = await client.post("/api/exports", json={"type": type_})
    assert response.status_code == 200, response.text
    export_id: str = response.json()["exportJob"]["id"]
    return export_id


async def finish(system: System, client: httpx2.AsyncClient) -> tuple[str, str]:
    """Have an export made; return its id and its link."""
    export_id = await ask(client)
    async with working(system):
        await until_finished(client, export_id)
    url: str = (await client.get(f"/api/exports/{export_id}")).json()["export"]["fileUrl"]
    return export_id, url


@pytest.fixture
async def file(system: System, ada: httpx2.AsyncClient) -> tuple[httpx2.AsyncClient, str]:
    """A client and the link of a finished export."""
    _, url = await finish(system, ada)
    return ada, url


async def test_trouble_of_the_server_is_told_to_operators_alone(
    system: System, ada: httpx2.AsyncClient, operator: httpx2.AsyncClient
) -> None:
    """Also in the events of a stream, and while the job waits for its next attempt."""
    folder = system.settings.data_dir / "exports"
    folder.write_text("a file in the place of the folder")
    export_id = await ask(ada)
    path = f"/api/queues/status/{export_id}"

    async def failed_once() -> bool:
        return "failedReason" in (await ada.get(path)).json()

    async with working(system):
        await eventually(failed_once, what="the first attempt to fail")

    assert (await ada.get(path)).json()["failedReason"] == FAILED
    assert str(folder) in (await operator.get(path)).json()["failedReason"]


async def test_what_the_old_system_ignored_is_ignored(
    system: System, ada: httpx2.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "oxcart.exports")
    body = {"type": "ANALYTICS", "filters": {"userId": BOB, "from": "2026-01-01"}}
    answer = await ada.post("/api/exports", json=body)
    export_id = answer.json()["exportJob"]["id"]
    async with working(system):
        assert (await until_finished(ada, export_id))["state"] == "completed"

    summary = (await ada.get(f"/api/exports/{export_id}/file")).json()
    assert summary["userId"] == ADA
    (told,) = (one for one in caplog.records if one.getMessage() == "export.filters_ignored")
    assert told.__dict__["filters"] == ["userId", "from"]
    listed = (await ada.get("/api/exports?page=2&_=1")).json()["exports"]
    assert [export["id"] for export in listed] == [export_id]


async def test_new_export_is_queued_under_its_own_id(
    system: System, ada: httpx2.AsyncClient
) -> None:
    response = await ada.post("/api/exports", json={"type": "USER_DATA"})

    export = response.json()["exportJob"]
    assert export["jobId"] == export["id"]
    assert export["status"] == "PENDING"
    assert datetime.fromisoformat(export["createdAt"]).tzinfo is not None
    job = await system.app.queue("export").get_job(export["id"])
    assert job is not None
    assert job.name == "USER_DATA"


async def test_export_can_be_followed_to_its_file(system: System, ada: httpx2.AsyncClient) -> None:
    export_id = await ask(ada)

    async with working(system):
        job = await until_finished(ada, export_id)

    assert job["state"] == "completed"
    assert job["progress"] == 100
    assert job["progressDetails"]["phase"] == "done"
    assert job["data"]["userId"] == ADA
    assert job["finishedOn"] >= job["processedOn"] >= job["createdAt"]
    (listed,) = (await ada.get("/api/exports?status=COMPLETED")).json()["exports"]
    assert listed["id"] == export_id
    assert listed["completedAt"]


async def test_signed_link_needs_no_key(system: System, ada: httpx2.AsyncClient) -> None:
    _, url = await finish(system, ada)

    async with connected(system) as anyone:
        response = await anyone.get(url)

    assert response.status_code == 200
    assert int(response.headers["content-length"]) == len(response.content)
    assert response.headers["content-type"] == "application/zip"
    assert response.headers["content-disposition"].startswith('attachment; filename="user-data-')
    assert response.headers["cache-control"] == "private, no-store"
    digest = hashlib.sha256(response.content).hexdigest()
    assert response.headers["etag"] == f'"{digest}"'
    with zipfile.ZipFile(io.BytesIO(response.content)) as file:
        assert file.testzip() is None


async def test_owner_needs_no_link_and_others_need_one(
    system: System, ada: httpx2.AsyncClient
) -> None:
    export_id, _ = await finish(system, ada)
    path = f"/api/exports/{export_id}/file"

    async with connected(system, acting_for(BOB)) as bob, connected(system) as anyone:
        assert (await ada.get(path)).status_code == 200
        assert (await bob.get(path)).status_code == 404
        assert (await anyone.get(path)).status_code == 401


@pytest.mark.parametrize(
    ("change", "status"),
    [
        (("signature=", "signature=0"), 403),
        (("expires=", "expires=9"), 403),
        (("signature=", "other="), 400),
        (("/file?", "x/file?"), 403),
    ],
)
async def test_link_that_was_changed_is_refused(
    system: System, ada: httpx2.AsyncClient, change: tuple[str, str], status: int
) -> None:
    _, url = await finish(system, ada)

    async with connected(system) as anyone:
        response = await anyone.get(url.replace(*change))

    assert response.status_code == status
    assert response.headers["content-type"] == MEDIA_TYPE


async def test_link_that_a_user_is_logged_in_with_is_that_users_own(
    system: System, ada: httpx2.AsyncClient
) -> None:
    """A leaked link opens for no other logged-in user; an expired one still for its owner."""
    _, url = await finish(system, ada)
    export_id = urlsplit(url).path.split("/")[3]
    signer = LinkSigner(
        signing_secret(system.settings), base_url="", lifetime=timedelta(seconds=-1)
    )
    expired = signer.signed_url(export_id)

    async with connected(system, acting_for(BOB)) as bob, connected(system) as anyone:
        assert (await bob.get(url)).status_code == 404
        assert (await anyone.get(url)).status_code == 200
        assert (await bob.get(expired)).status_code == 404
        assert (await anyone.get(expired)).status_code == 410
        wrong = {"authorization": "Bearer wrong"}
        assert (await anyone.get(url, headers=wrong)).status_code == 200
    assert (await ada.get(url)).status_code == 200
    assert (await ada.get(expired)).status_code == 200


async def test_parts_of_a_file_can_be_asked_for(system: System, ada: httpx2.AsyncClient) -> None:
    _, url = await finish(system, ada)
    whole = (await ada.get(url)).content

    part = await ada.get(url, headers={"range": "bytes=2-5"})
    beyond = await ada.get(url, headers={"range": f"bytes={len(whole)}-"})
    head = await ada.head(url)

    assert part.status_code == 206
    assert part.content == whole[2:6]
    assert part.headers["content-range"] == f"bytes 2-5/{len(whole)}"
    assert beyond.status_code == 416
    assert beyond.json()["type"] == "/docs#range"
    assert beyond.headers["content-range"] == f"bytes */{len(whole)}"
    assert head.status_code == 200
    assert head.headers["content-length"] == str(len(whole))
    assert head.content == b""
    assert head.headers["accept-ranges"] == "bytes"


@pytest.mark.parametrize(
    ("headers", "part"),
    [
        ({"range": "bytes=-4"}, slice(-4, None)),
        ({"range": "bytes=3-"}, slice(3, None)),
        ({"range": "bytes=3-999999999"}, slice(3, None)),
        ({"range": "bytes=-999999999"}, slice(0, None)),
        ({"range": "bytes=3-9", "if-range": "ETAG"}, slice(3, 10)),
        ({"range": "bytes=3-9", "if-range": '"other"'}, None),
        ({"range": "bytes=1-2,4-5"}, None),
        ({"range": "bytes=5-3"}, None),
        ({"range": "bytes=-"}, None),
        ({"range": "lines=1-2"}, None),
    ],
)
async def test_range_is_answered_with_that_part_or_with_all(
    file: tuple[httpx2.AsyncClient, str], headers: dict[str, str], part: slice | None
) -> None:
    client, url = file
    whole = await client.get(url)
    sent = {name: value.replace("ETAG", whole.headers["etag"]) for name, value in headers.items()}

    answer = await client.get(url, headers=sent)

    expected = whole.content if part is None else whole.content[part]
    assert answer.content == expected
    is_part = part is not None
    assert answer.status_code == (206 if is_part else 200)
    assert answer.headers["content-length"] == str(len(expected))
    assert ("content-range" in answer.headers) == is_part


async def test_file_that_was_cut_short_or_is_elsewhere_is_not_sent(
    system: System, file: tuple[httpx2.AsyncClient, str], caplog: pytest.LogCaptureFixture
) -> None:
    """It would carry the hash of the whole one."""
    client, url = file
    (path,) = (system.settings.data_dir / "exports").iterdir()
    whole = path.read_bytes()
    path.write_bytes(whole[:-1])
    cut = await client.get(url)
    path.unlink()
    elsewhere = system.settings.data_dir / "elsewhere"
    elsewhere.write_bytes(whole)
    path.symlink_to(elsewhere)
    linked = await client.get(url)

    assert (cut.status_code, linked.status_code) == (404, 404)
    assert "damaged" in cut.json()["error"]
    (told,) = (one for one in caplog.records if one.getMessage() == "export.file_damaged")
    assert told.__dict__["expected_bytes"] == len(whole)


async def test_two_clicks_are_one_export(system: System, ada: httpx2.AsyncClient) -> None:
    headers = {"idempotency-key": '"click-1"'}
    body = {"type": "ANALYTICS"}
    first = await ada.post("/api/exports", json=body, headers=headers)
    second = await ada.post("/api/exports", json=body, headers=headers)
    other = await ada.post("/api/exports", json={"type": "USER_DATA"}, headers=headers)

    assert first.json()["exportJob"] == second.json()["exportJob"]  # each has a ticket of its own
    assert "idempotent-replayed" not in first.headers
    assert second.headers["idempotent-replayed"] == "true"
    assert other.status_code == 422
    assert other.json()["type"] == "/docs#key-reused"
    assert len((await ada.get("/api/exports")).json()["exports"]) == 1


async def test_expired_export_has_no_link_and_says_when(
    system: System, ada: httpx2.AsyncClient, operator: httpx2.AsyncClient
) -> None:
    export_id, url = await finish(system, ada)
    shown = (await ada.get(f"/api/exports/{export_id}")).json()["export"]
    kept_for = datetime.fromisoformat(shown["expiresAt"]) - datetime.fromisoformat(
        shown["completedAt"]
    )
    assert kept_for == timedelta(days=7)
    assert (await operator.get(f"/api/exports/{export_id}/file")).status_code == 200
    async with system.database.write() as connection:
        await connection.execute(
            export_job.update().values(completedAt=datetime.now(UTC) - kept_for)
        )

    assert (await ada.get(url)).status_code == 410
    assert (await operator.get(f"/api/exports/{export_id}/file")).status_code == 410
    report = await system.sweeper.sweep()

    assert report.expired_count == 1
    gone = await ada.get(f"/api/exports/{export_id}/file")
    assert (gone.status_code, gone.json()["type"]) == (410, "/docs#export-expired")
    (listed,) = (await ada.get("/api/exports?status=COMPLETED")).json()["exports"]
    assert listed["fileUrl"] is None
    assert datetime.fromisoformat(listed["expiresAt"]) <= datetime.now(UTC)


async def test_worker_sweeps_by_itself(system: System, ada: httpx2.AsyncClient) -> None:
    export_id, _ = await finish(system, ada)
    (path,) = (system.settings.data_dir / "exports").glob(f"{export_id}*")
    brief = ExportSweeper(
        system.database,
        LocalStorage(path.parent),
        keep_for=timedelta(microseconds=1),
        interval=timedelta(milliseconds=20),
    )

    async with working(replace(system, sweeper=brief)):
        await wait_until(lambda: not path.exists(), within=10, what="the file to be removed")


async def test_file_that_is_known_is_not_sent_again(
    system: System, ada: httpx2.AsyncClient
) -> None:
    _, url = await finish(system, ada)
    etag = (await ada.get(url)).headers["etag"]

    response = await ada.get(url, headers={"if-none-match": f'"other", W/{etag}'})

    assert response.status_code == 304
    assert response.content == b""


async def test_file_that_was_removed_is_a_404(system: System, ada: httpx2.AsyncClient) -> None:
    export_id, url = await finish(system, ada)
    folder = system.settings.data_dir / "exports"
    for file in folder.glob(f"{export_id}*"):
        file.unlink()

    assert (await ada.get(url)).status_code == 404


async def test_file_of_a_pending_export_is_not_ready(ada: httpx2.AsyncClient) -> None:
    export_id = await ask(ada)

    response = await ada.get(f"/api/exports/{export_id}/file")

    assert response.status_code == 409
    assert "PENDING" in response.json()["error"]
    assert "retry-after" in response.headers


async def test_members_are_for_staff(system: System, ada: httpx2.AsyncClient) -> None:
    async with connected(system, acting_for(STAFF)) as staff:
        assert (await ada.post("/api/exports", json={"type": "MEMBERS"})).status_code == 403
        assert (await staff.post("/api/exports", json={"type": "MEMBERS"})).status_code == 200


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({"type": "PASSWORDS"}, "USER_DATA"),
        ({"type": "WIKI_PAGES", "filters": {"password": "x"}}, "password"),
        ({"type": "WIKI_PAGES", "filters": {"published": {"$ne": 1}}}, "published"),
        ({"type": "WIKI_PAGES", "filters": {"published": "' OR 1=1 --"}}, "published"),
    ],
)
async def test_refusal_names_what_is_wrong(
    ada: httpx2.AsyncClient, body: dict[str, object], named: str
) -> None:
    response = await ada.post("/api/exports", json=body)

    assert response.status_code == 400
    assert named in response.json()["error"]


async def test_list_goes_on_beyond_fifty_and_shows_only_ones_own(
    system: System, ada: httpx2.AsyncClient
) -> None:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    rows = [
        {
            "id": f"c{number:024d}",
            "userId": BOB if number % 10 == 0 else ADA,
            "type": "ANALYTICS",
            "status": ExportStatus.FAILED,
            "createdAt": start + timedelta(minutes=number),
        }
        for number in range(130)
    ]
    async with system.database.write() as connection:
        await connection.execute(export_job.insert(), rows)

    seen: list[str] = []
    cursor = ""
    while cursor is not None:
        page = (await ada.get("/api/exports", params={"cursor": cursor})).json()
        assert len(page["exports"]) <= 50
        seen += [export["id"] for export in page["exports"]]
        cursor = page["nextCursor"]

    newest_first = [row["id"] for row in reversed(rows) if row["userId"] == ADA]
    assert seen == newest_first


@pytest.mark.parametrize("cursor", ["x", "AAAA", "!!!!", "LTk5OTk5OTk5OTk5OTk5OTkuYQ", "MS4A"])
async def test_made_up_cursor_is_refused_or_harmless(ada: httpx2.AsyncClient, cursor: str) -> None:
    response = await ada.get("/api/exports", params={"cursor": cursor})

    assert response.status_code in (200, 400)


async def test_export_is_shown_to_its_owner_and_to_operators(
    system: System, ada: httpx2.AsyncClient, operator: httpx2.AsyncClient
) -> None:
    path = f"/api/exports/{await ask(ada)}"

    async with connected(system, acting_for(BOB)) as bob:
        assert (await ada.get(path)).status_code == 200
        assert (await operator.get(path)).status_code == 200
        assert (await bob.get(path)).status_code == 404


async def test_operator_may_act_for_a_user(system: System) -> None:
    async with connected(system, OPERATOR | {"x-oxcart-user": ADA}) as operator:
        await ask(operator)

        assert len((await operator.get("/api/exports")).json()["exports"]) == 1


async def test_quota_is_shared_by_api_processes_and_answered_with_429(
    valkey_url: str, prefix: str, tmp_path: Path
) -> None:
    settings = make_settings(
        tmp_path, redis_url=valkey_url, prefix=prefix, unfinished_exports=2, exports_per_hour=3
    )
    async with AsyncExitStack() as stack:
        systems = [await stack.enter_async_context(open_system(settings)) for _ in range(2)]
        await add_users(systems[0].database)
        ada, ada_elsewhere = [
            await stack.enter_async_context(connected(system, acting_for(ADA)))
            for system in systems
        ]
        bob = await stack.enter_async_context(connected(systems[0], acting_for(BOB)))
        await ask(ada)
        await ask(ada_elsewhere)

        refused = await ada.post("/api/exports", json={"type": "USER_DATA"})
        of_bob = await bob.post("/api/exports", json={"type": "USER_DATA"})

    assert refused.status_code == 429
    assert refused.headers["content-type"] == MEDIA_TYPE
    assert refused.json()["type"] == "/docs#quota-exceeded"
    assert int(refused.headers["retry-after"]) > 0
    assert of_bob.status_code == 200
