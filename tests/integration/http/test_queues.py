"""Job status and the webhook, on the real system."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest
import redis
from tests.integration.http.running import BOB, acting_for, connected

from oxcart.http.problems import MEDIA_TYPE
from oxcart.system import System

CANARY = "canary-5ecret"


async def ask(client: httpx2.AsyncClient) -> str:
    response = await client.post("/api/exports", json={"type": "ANALYTICS"})
    export_id: str = response.json()["exportJob"]["id"]
    return export_id


async def test_waiting_export_is_shown_to_its_owner_only(
    system: System, ada: httpx2.AsyncClient, operator: httpx2.AsyncClient
) -> None:
    path = f"/api/queues/status/{await ask(ada)}"

    shown = (await ada.get(path)).json()

    assert shown["state"] == "waiting"
    assert shown["type"] == "ANALYTICS"
    assert (await operator.get(path)).json() == shown
    async with connected(system, acting_for(BOB)) as bob:
        assert (await bob.get(path)).status_code == 404


@pytest.mark.parametrize(
    ("name", "secret"), [("verification", "token"), ("password_reset", "resetCode")]
)
async def test_secret_of_an_email_job_is_not_shown_even_to_operators(
    system: System, operator: httpx2.AsyncClient, name: str, secret: str
) -> None:
    data: Any = {"type": name, "toEmail": "ada@example.org", "metadata": {secret: CANARY}}
    job = await system.app.queue("email").add(name, data)

    response = await operator.get(f"/api/queues/status/{job.id}")

    assert response.status_code == 200
    assert CANARY not in response.text
    assert response.json()["data"]["metadata"] == {secret: "[redacted]"}


async def test_email_job_is_not_shown_to_the_user_whom_it_is_sent_to(
    system: System, ada: httpx2.AsyncClient
) -> None:
    job = await system.app.queue("email").add("welcome", {"userId": "user-ada"})

    assert (await ada.get(f"/api/queues/status/{job.id}")).status_code == 404


@pytest.mark.parametrize(
    "job_id",
    [
        "1", "0", "-1", "999999999999999999999999", "wait", "active", "meta", "events", "stalled",
        "export", "repeat", "repeat:x", "1:logs", "id", "*", "[a-z]", "{x}", "%00", "%0d%0a",
        "%ff", "x" * 10_000, "%2e%2e", "a%2Fb", "'", "\\", "\u2028", "🎓",
    ],
)  # fmt: skip
async def test_id_that_names_no_job_is_a_404(
    system: System, ada: httpx2.AsyncClient, operator: httpx2.AsyncClient, job_id: str
) -> None:
    """Also where a key of that name stands in Redis, of another type than a job's."""
    await ask(ada)

    response = await operator.get(f"/api/queues/status/{job_id}")

    assert response.status_code == 404
    assert response.headers["content-type"] == MEDIA_TYPE


@pytest.mark.parametrize(
    ("field", "value", "status"),
    [
        ("data", "{not json", 200),
        ("data", r'{"name": "\ud800\u0000"}', 200),
        ("data", "[" * 50_000 + "]" * 50_000, 200),
        ("data", "1e999", 200),
        ("opts", "[]", 200),
        ("opts", "{", 200),
        ("timestamp", "soon", 200),
        ("progress", "NaN", 200),
        ("returnvalue", "\xff", 200),
        ("stacktrace", "{", 200),
        ("atm", "many", 200),
        ("finishedOn", "-", 200),
    ],
)
async def test_job_that_another_program_wrote_badly_is_shown_as_far_as_it_can_be_read(
    system: System,
    operator: httpx2.AsyncClient,
    valkey: redis.Redis,
    prefix: str,
    field: str,
    value: str,
    status: int,
) -> None:
    job = await system.app.queue("email").add("welcome", {})
    valkey.hset(f"{prefix}:email:{job.id}", field, value.encode("latin-1"))

    response = await operator.get(f"/api/queues/status/{job.id}")

    assert response.status_code == status, response.text
    assert response.json()["state"] == "waiting"


async def test_key_of_another_type_under_a_jobs_name_is_no_500(
    operator: httpx2.AsyncClient, valkey: redis.Redis, prefix: str
) -> None:
    valkey.set(f"{prefix}:email:text", "no job")

    assert (await operator.get("/api/queues/status/text")).status_code in (404, 503)


async def test_webhook_sets_the_row_of_an_export(
    ada: httpx2.AsyncClient, operator: httpx2.AsyncClient
) -> None:
    export_id = await ask(ada)
    event = {"event": "failed", "jobId": export_id, "queue": "export", "data": {}, "error": "disk"}

    response = await operator.post("/api/queues/webhook", json=event)

    assert response.json() == {"success": True}
    shown = (await ada.get(f"/api/exports/{export_id}")).json()["export"]
    assert shown["status"] == "FAILED"
    assert shown["completedAt"]


async def test_webhook_of_a_completed_export_gives_it_the_reported_file(
    ada: httpx2.AsyncClient, operator: httpx2.AsyncClient
) -> None:
    export_id = await ask(ada)
    url = "https://files.example.org/export.csv"
    event = {"event": "completed", "jobId": export_id, "queue": "export", "data": {}, "result": url}

    await operator.post("/api/queues/webhook", json=event)

    shown = (await ada.get(f"/api/exports/{export_id}")).json()["export"]
    assert (shown["status"], shown["fileUrl"]) == ("COMPLETED", url)


async def test_late_webhook_does_not_undo_a_completed_export(
    ada: httpx2.AsyncClient, operator: httpx2.AsyncClient
) -> None:
    export_id = await ask(ada)
    event: dict[str, Any] = {"jobId": export_id, "queue": "export", "data": {}}

    for outcome in ("completed", "failed", "completed"):
        response = await operator.post("/api/queues/webhook", json=event | {"event": outcome})
        assert response.status_code == 200

    shown = (await ada.get(f"/api/exports/{export_id}")).json()["export"]
    assert shown["status"] == "COMPLETED"
