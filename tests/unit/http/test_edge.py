"""What is true of every answer."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from dataclasses import replace

import httpx2
import pytest
from starlette.requests import ClientDisconnect
from starlette.types import Message, Receive, Scope, Send
from tests.unit.http.conftest import REMOTE, Connect
from tests.unit.http.fakes import (
    ADA,
    BOB,
    OPERATOR_KEY,
    SERVICE_KEY,
    FakeSystem,
    make_api,
    make_settings,
)

from oxcart.http.edge import SECURITY_HEADERS, Edge
from oxcart.http.problems import MEDIA_TYPE


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/health"),
        ("GET", "/docs"),
        ("GET", "/openapi.json"),
        ("GET", "/api/exports"),
        ("GET", "/nothing"),
        ("DELETE", "/api/exports"),
        ("TRACE", "/api/health"),
    ],
)
async def test_every_answer_has_the_security_headers(
    operator: httpx2.AsyncClient, method: str, path: str
) -> None:
    response = await operator.request(method, path)

    assert set(SECURITY_HEADERS) <= set(response.headers)
    assert response.headers["x-content-type-options"] == "nosniff"
    assert "frame-ancestors 'none'" in response.headers["content-security-policy"]
    assert response.headers["referrer-policy"] == "no-referrer"
    assert response.headers["x-request-id"]


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("DELETE", "/api/exports", "GET, POST"),
        ("PUT", "/api/worker/burst", "GET, POST"),
        ("POST", "/api/health", "GET, HEAD"),
        ("POST", "/api/exports/export-ada/file", "GET, HEAD"),
    ],
)
async def test_allow_names_all_methods_of_a_path(
    anonymous: httpx2.AsyncClient, method: str, path: str, allow: str
) -> None:
    response = await anonymous.request(method, path)

    assert (response.status_code, response.headers["allow"]) == (405, allow)


async def test_authenticated_answers_are_not_stored(ada: httpx2.AsyncClient) -> None:
    assert (await ada.get("/api/exports")).headers["cache-control"] == "no-store"


async def test_no_origin_is_let_in_by_cors(operator: httpx2.AsyncClient) -> None:
    response = await operator.options(
        "/api/exports",
        headers={"origin": "https://evil.example", "access-control-request-method": "POST"},
    )

    assert response.status_code == 405
    assert not [name for name in response.headers if name.startswith("access-control")]


@pytest.mark.parametrize("given", ["abc-123", "A" * 64])
async def test_harmless_request_id_is_kept(anonymous: httpx2.AsyncClient, given: str) -> None:
    response = await anonymous.get("/nothing", headers={"x-request-id": given})

    assert given == response.headers["x-request-id"]
    assert given == response.json()["requestId"]


@pytest.mark.parametrize("given", ["", "a b", "A" * 65, "x\ttab", "a;b"])
async def test_other_request_ids_are_replaced(anonymous: httpx2.AsyncClient, given: str) -> None:
    response = await anonymous.get("/nothing", headers={"x-request-id": given})

    assert response.headers["x-request-id"] not in ("", given)


async def test_unexpected_error_is_a_500_with_the_id_under_which_it_is_logged(
    ada: httpx2.AsyncClient, system: FakeSystem, caplog: pytest.LogCaptureFixture
) -> None:
    system.exports.error = RuntimeError("hunter2 leaked")

    response = await ada.get("/api/exports")

    assert response.status_code == 500
    assert response.headers["content-type"] == MEDIA_TYPE
    assert "hunter2" not in response.text
    assert "Traceback" not in response.text
    (record,) = [record for record in caplog.records if record.getMessage() == "http.failed"]
    assert response.json()["requestId"] == record.__dict__["request_id"]
    assert record.exc_info is not None


async def test_access_line_names_the_route_and_no_secret(
    anonymous: httpx2.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "oxcart.http")

    await anonymous.get(
        "/api/exports/export-ada/file?expires=1&signature=hunter2",
        headers={"authorization": f"Bearer {OPERATOR_KEY}"},
    )

    (record,) = [record for record in caplog.records if record.getMessage() == "http.request"]
    facts = record.__dict__
    assert facts["route"] == "/api/exports/{exportId}/file"
    assert facts["path"] == "/api/exports/export-ada/file"
    assert facts["status"] == 403
    assert "hunter2" not in str(facts)
    assert OPERATOR_KEY not in str(facts)


async def test_access_line_names_the_callers_role(
    operator: httpx2.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "oxcart.http")

    await operator.get("/api/queues/status/nothing")

    (record,) = [record for record in caplog.records if record.getMessage() == "http.request"]
    assert record.__dict__["caller"] == "operator"


async def test_access_line_names_user_key_and_address(
    ada: httpx2.AsyncClient, anonymous: httpx2.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "oxcart.http")

    await ada.get("/api/exports")
    await anonymous.get("/api/exports")

    records = [record for record in caplog.records if record.getMessage() == "http.request"]
    known, unknown = (record.__dict__ for record in records)
    assert known["user"] == ADA.id
    assert len(known["key"]) == 8
    assert known["client"] == unknown["client"] == REMOTE[0]
    assert (unknown["user"], unknown["key"]) == (None, None)
    assert SERVICE_KEY not in caplog.text


async def test_what_an_administrator_changes_is_recorded_for_audits(
    system: FakeSystem, ada: httpx2.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    system.users.known = (replace(ADA, role="ADMIN"), BOB)
    caplog.set_level(logging.INFO, "oxcart")

    await ada.get("/api/exports")
    await ada.post("/api/exports", json={"type": "USER_DATA"})

    (record,) = (record for record in caplog.records if record.name == "oxcart.audit")
    assert (record.__dict__["method"], record.__dict__["user"]) == ("POST", ADA.id)


async def test_operators_requests_and_reported_events_are_recorded_for_audits(
    ada: httpx2.AsyncClient, operator: httpx2.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "oxcart")
    event = {"event": "completed", "jobId": "export-ada", "queue": "export", "data": {}}

    await ada.get("/api/exports")
    await operator.get("/metrics")
    await operator.get("/api/exports/export-ada")
    await ada.post("/api/queues/webhook", json=event)

    read, reported = (record.__dict__ for record in caplog.records if record.name == "oxcart.audit")
    assert read["message"] == reported["message"] == "audit.request_recorded"
    assert (read["caller"], read["path"]) == ("operator", "/api/exports/export-ada")
    assert (reported["caller"], reported["user"]) == ("service", ADA.id)
    assert (reported["job_id"], reported["reported"]) == ("export-ada", "completed")
    assert all(facts["client"] and facts["key"] and facts["status"] for facts in (read, reported))


@pytest.mark.parametrize(
    ("scheme", "api_url", "expected"),
    [
        ("http", "http://api.example", None),
        ("https", "http://api.example", "max-age=31536000"),
        ("http", "https://api.example", "max-age=31536000"),
    ],
)
async def test_answers_over_https_ask_for_https_alone(
    scheme: str, api_url: str, expected: str | None
) -> None:
    api = make_api(FakeSystem(settings=make_settings(api_url=api_url)))
    async with httpx2.AsyncClient(
        transport=httpx2.ASGITransport(api), base_url=f"{scheme}://api.example"
    ) as client:
        response = await client.get("/nothing")

    assert response.headers.get("strict-transport-security") == expected


async def test_path_cannot_forge_a_log_line(
    anonymous: httpx2.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "oxcart.http")

    await anonymous.get("/x%0Ahttp.request%20forged")

    (record,) = [record for record in caplog.records if record.getMessage() == "http.request"]
    assert "\n" not in record.__dict__["path"]


async def ask(app: object) -> httpx2.Response:
    transport = httpx2.ASGITransport(Edge(app))  # type: ignore[arg-type]  # small test apps
    async with httpx2.AsyncClient(transport=transport, base_url="http://edge") as client:
        return await client.get("/")


async def test_refusal_worded_by_something_else_becomes_a_problem() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        headers = [(b"content-type", b"text/plain"), (b"content-range", b"bytes */5")]
        await send({"type": "http.response.start", "status": 416, "headers": headers})
        await send({"type": "http.response.body", "body": b"plain"})

    response = await ask(app)

    assert response.status_code == 416
    assert response.json()["type"] == "/docs#range"
    assert response.headers["content-range"] == "bytes */5"


async def test_error_after_half_an_answer_breaks_the_connection() -> None:
    """Only a broken connection can tell the client that the rest is missing."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise RuntimeError("half way")

    with pytest.raises(RuntimeError, match="half way"):
        await ask(app)


async def test_client_that_went_away_is_no_error(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "oxcart.http")
    sent: list[Message] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        raise ClientDisconnect

    async def receive() -> Message:
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": "/", "headers": []}
    await Edge(app)(scope, receive, send)

    assert sent == []
    assert [record.__dict__["status"] for record in caplog.records] == [499]


async def test_chunked_body_over_the_limit_is_refused_before_its_end(
    connect: Connect, system: FakeSystem
) -> None:
    sent_chunks = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent_chunks
        while True:
            sent_chunks += 1
            yield b" " * 65_536

    client = connect({"x-api-key": OPERATOR_KEY, "x-oxcart-user": "user-ada"})
    response = await client.post(
        "/api/exports", content=endless(), headers={"content-type": "application/json"}
    )

    assert response.status_code == 413
    assert response.headers["connection"] == "close"
    assert sent_chunks == system.settings.max_body_bytes // 65_536 + 1


async def test_declared_length_over_the_limit_is_refused_unread(
    connect: Connect, system: FakeSystem
) -> None:
    """Without a key: nobody has to be authenticated to be told that it is too much."""
    read_chunks = 0

    async def body() -> AsyncIterator[bytes]:
        nonlocal read_chunks
        read_chunks += 1
        yield b"{}"

    size = str(system.settings.max_body_bytes + 1)
    headers = {"content-type": "application/json", "content-length": size}
    response = await connect().post("/api/exports", content=body(), headers=headers)

    assert response.status_code == 413
    assert read_chunks == 0
