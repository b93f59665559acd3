"""The shapes that the site's front end knows."""

from __future__ import annotations

from datetime import UTC, datetime

import httpx2
import pytest
from tests.unit.http.fakes import ADA, FakeSystem, make_record

from oxcart.database.errors import DatabaseUnavailable
from oxcart.database.types import ExportStatus
from oxcart.exports.errors import (
    BadFilter,
    ExportExpired,
    ExportForbidden,
    ExportNotFound,
    ExportNotReady,
    IdempotencyKeyReused,
    LinkExpired,
    LinkInvalid,
    StorageFull,
    UnknownFilter,
)

ACCEPTED = {
    "id": "export-ada",
    "status": "PENDING",
    "type": "USER_DATA",
    "createdAt": "2026-03-04T05:06:07.089Z",
}


async def test_new_export_is_answered_with_its_job(
    ada: httpx2.AsyncClient, system: FakeSystem
) -> None:
    filters = {"since": "2026-01-01"}
    response = await ada.post("/api/exports", json={"type": "USER_DATA", "filters": filters})

    assert response.status_code == 200
    answer = response.json()
    assert answer.pop("ticket")["eventsPath"].startswith("/api/exports/export-ada/events?ticket=t1")
    assert answer == {
        "success": True,
        "exportJob": ACCEPTED | {"jobId": "export-ada"},
    }
    assert [(ADA.id, "USER_DATA", filters)] == system.exports.requested


async def test_export_that_could_not_be_queued_has_no_job_id_and_says_so(
    ada: httpx2.AsyncClient, system: FakeSystem
) -> None:
    system.exports.job_id = None

    response = await ada.post("/api/exports", json={"type": "USER_DATA"})

    assert response.status_code == 200
    assert response.json()["exportJob"] == ACCEPTED
    assert "by itself" in response.json()["message"]


@pytest.mark.parametrize(
    ("given", "key"),
    [
        (["7a1c-0"], "7a1c-0"),
        (['"7a1c-0"'], "7a1c-0"),
        (["k" * 255], "k" * 255),
        (["k" * 256], None),
        ([""], None),
        (['"'], None),
        (["two words"], None),
        (["a", "b"], None),
    ],
)
async def test_idempotency_key_is_taken_in_quotes_or_bare_and_checked(
    ada: httpx2.AsyncClient, system: FakeSystem, given: list[str], key: str | None
) -> None:
    headers = [("idempotency-key", value) for value in given]
    response = await ada.post("/api/exports", json={"type": "USER_DATA"}, headers=headers)

    assert response.status_code == (400 if key is None else 200)
    assert system.exports.keys == ([] if key is None else [key])


async def test_list_has_the_exports_and_where_the_next_page_begins(
    ada: httpx2.AsyncClient, system: FakeSystem
) -> None:
    system.exports.next_cursor = "next"

    response = await ada.get("/api/exports?status=&cursor=")

    assert response.json() == {
        "success": True,
        "exports": [ACCEPTED | {"fileUrl": None}],
        "nextCursor": "next",
    }


async def test_finished_export_says_when(ada: httpx2.AsyncClient, system: FakeSystem) -> None:
    finished = datetime(2026, 3, 4, 6, 0, tzinfo=UTC)
    system.exports.record = make_record(status=ExportStatus.FAILED, completed_at=finished)

    response = await ada.get("/api/exports/export-ada")

    assert response.json()["export"]["completedAt"] == "2026-03-04T06:00:00.000Z"


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (UnknownFilter("x", type_="MEMBERS", known=["role"]), 400),
        (BadFilter("cursor", "is not one"), 400),
        (ExportForbidden("only staff"), 403),
        (LinkInvalid(), 403),
        (ExportNotFound("export-ada"), 404),
        (ExportNotReady("export-ada", "PENDING"), 409),
        (LinkExpired(), 410),
        (ExportExpired("export-ada"), 410),
        (IdempotencyKeyReused("key"), 422),
        (StorageFull("hunter2"), 500),
        (DatabaseUnavailable("hunter2"), 503),
    ],
)
async def test_error_of_the_exports_has_its_status(
    ada: httpx2.AsyncClient, system: FakeSystem, error: Exception, status: int
) -> None:
    system.exports.error = error

    response = await ada.get("/api/exports/export-ada/file")

    assert status == response.status_code
    assert response.json()["error"]
    assert "hunter2" not in response.text


async def test_event_of_an_export_is_handed_on(
    operator: httpx2.AsyncClient, system: FakeSystem
) -> None:
    event = {"event": "failed", "jobId": "export-ada", "queue": "export", "data": {}}

    response = await operator.post("/api/queues/webhook", json=event | {"error": "disk"})

    assert response.json() == {"success": True}
    assert system.exports.events == [("failed", "export-ada", None, "disk")]


async def test_event_of_an_export_that_is_not_there_is_a_404(
    operator: httpx2.AsyncClient,
) -> None:
    event = {"event": "completed", "jobId": "gone", "queue": "export", "data": {}}

    assert (await operator.post("/api/queues/webhook", json=event)).status_code == 404


async def test_event_of_an_email_changes_nothing(
    operator: httpx2.AsyncClient, system: FakeSystem
) -> None:
    event = {"event": "completed", "jobId": "7", "queue": "email", "data": {}, "result": "sent"}

    response = await operator.post("/api/queues/webhook", json=event)

    assert response.json() == {"success": True}
    assert system.exports.events == []
