"""Who may call which route: every route with every kind of caller."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import Any

import pytest
from tests.unit.http.conftest import LOOPBACK, REMOTE, Connect
from tests.unit.http.fakes import (
    ADA,
    BOB,
    OPERATOR_KEY,
    SERVICE_KEY,
    FakeSystem,
    FakeUsers,
    make_api,
    make_job,
    make_settings,
)

from oxcart._auth.api_keys import Scope
from oxcart.burst import BurstEnd, BurstReport
from oxcart.operations import SystemStatus

CALLERS: dict[str, dict[str, str]] = {
    "nobody": {},
    "wrong key": {"x-api-key": "wrong-key-0123456789"},
    "operator": {"x-api-key": OPERATOR_KEY},
    "operator for Ada": {"x-api-key": OPERATOR_KEY, "x-oxcart-user": ADA.id},
    "service": {"x-api-key": SERVICE_KEY},
    "service for Ada": {"x-api-key": SERVICE_KEY, "x-oxcart-user": ADA.id},
    "service for Bob": {"x-api-key": SERVICE_KEY, "x-oxcart-user": BOB.id},
    "service for nobody": {"x-api-key": SERVICE_KEY, "x-oxcart-user": "nobody"},
}
SCOPED: dict[str, Scope] = {f"key for {scope.value}": scope for scope in Scope}
EVENT = {"event": "completed", "jobId": "export-ada", "queue": "export", "data": {}}

ROUTES: dict[str, tuple[str, str, Any]] = {
    "create": ("POST", "/api/exports", {"type": "USER_DATA"}),
    "list": ("GET", "/api/exports", None),
    "get": ("GET", "/api/exports/export-ada", None),
    "file": ("GET", "/api/exports/export-ada/file", None),
    "link": ("GET", "/api/exports/export-ada/file?expires=1&signature=x", None),
    "queues": ("GET", "/api/queues", None),
    "export's status": ("GET", "/api/queues/status/export-ada", None),
    "e-mail's status": ("GET", "/api/queues/status/7", None),
    "export's events": ("GET", "/api/exports/export-ada/events", None),
    "export's ticket": ("POST", "/api/exports/export-ada/ticket", None),
    "export job's events": ("GET", "/api/queues/status/export-ada/events", None),
    "export job's ticket": ("POST", "/api/queues/status/export-ada/ticket", None),
    "webhook": ("POST", "/api/queues/webhook", EVENT),
    # Wrong requests: being refused for that is what counts.
    "deliveries": ("GET", "/api/webhooks/deliveries?state=lost", None),
    "delivery": ("GET", "/api/webhooks/deliveries/lost", None),
    "redeliver": ("POST", "/api/webhooks/deliveries/lost/redeliver", None),
    "burst": ("POST", "/api/worker/burst", None),
    "burst by GET": ("GET", "/api/worker/burst", None),
    "metrics": ("GET", "/metrics", None),
    "health": ("GET", "/api/health", None),
    "live": ("GET", "/api/health/live", None),
    "docs": ("GET", "/docs", None),
    "openapi": ("GET", "/openapi.json", None),
}

EVENTS = ("export's events", "export job's events")
OF_ADA = (
    "get", "export's status", "e-mail's status", "export's events", "export's ticket",
    "export job's events", "export job's ticket",
)  # fmt: skip
OPEN = {"health": 200, "live": 200, "docs": 200, "openapi": 200, "link": 403}
REFUSED = dict.fromkeys(ROUTES, 401) | OPEN
# The fake exports refuse every link and every file with 403: being asked is what counts.
WRONG = {"deliveries": 400, "delivery": 404, "redeliver": 404}
ALLOWED = (
    dict.fromkeys(ROUTES, 200) | {"file": 403, "link": 403} | dict.fromkeys(EVENTS, 204) | WRONG
)
FOR_OPERATORS = {"queues": 403, "burst": 403, "burst by GET": 403, "metrics": 403} | dict.fromkeys(
    WRONG, 403
)
WITHOUT_RIGHTS = dict.fromkeys(ROUTES, 403) | OPEN
EXPECTED: dict[str, dict[str, int]] = {
    "nobody": REFUSED,
    "wrong key": REFUSED,
    "service for nobody": REFUSED,
    "operator": ALLOWED | {"create": 401, "list": 401},
    "operator for Ada": ALLOWED,
    "service": REFUSED | {"webhook": 200} | FOR_OPERATORS,
    "service for Ada": ALLOWED | {"e-mail's status": 404} | FOR_OPERATORS,
    "service for Bob": ALLOWED | dict.fromkeys(OF_ADA, 404) | FOR_OPERATORS,
    "key for operator": ALLOWED | {"create": 401, "list": 401},
    "key for service": REFUSED | {"webhook": 200} | FOR_OPERATORS,
    "key for metrics": WITHOUT_RIGHTS | {"metrics": 200},
    "key for burst": WITHOUT_RIGHTS | {"burst": 200, "burst by GET": 200},
    "key for webhook": WITHOUT_RIGHTS | {"webhook": 200},
}


@pytest.fixture
def system() -> FakeSystem:
    system = FakeSystem()
    system.app.put(make_job())
    system.app.put(make_job(id="7", queue="email", name="welcome", data={"userId": ADA.id}))
    return system


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("caller", [*CALLERS, *SCOPED])
async def test_caller_gets_what_the_matrix_says(
    connect: Connect,
    system: FakeSystem,
    monkeypatch: pytest.MonkeyPatch,
    caller: str,
    route: str,
) -> None:
    async def healthy(app: object) -> Any:
        return HEALTHY

    async def no_queues(app: object, *, queues: object) -> SystemStatus:
        return SystemStatus(
            overall_status="healthy", is_connected=True, queues=(), timestamp=datetime.now(UTC)
        )

    async def burst(*_: object, **__: object) -> BurstReport:
        return NOTHING_DONE

    monkeypatch.setattr("oxcart.http.health.get_all_queue_status", healthy)
    monkeypatch.setattr("oxcart.http.queue_status.get_all_queue_status", no_queues)
    monkeypatch.setattr("oxcart.http.bursts.Bursts.run", burst)
    method, path, body = ROUTES[route]

    seen_all = {"last-event-id": "1-1:end"} if "events" in route else {}  # else it would wait
    shown = {"x-api-key": system.keys.put(SCOPED[caller])} if caller in SCOPED else CALLERS[caller]
    headers = shown | seen_all

    response = await connect(headers).request(method, path, json=body)

    assert EXPECTED[caller][route] == response.status_code, response.text
    if response.status_code == 401:
        assert "error" in response.json()


NOTHING_DONE = BurstReport(
    started_count=0,
    completed_count=0,
    failed_count=0,
    put_back_count=0,
    seconds=0.1,
    ended=BurstEnd.EMPTY,
)


class _Healthy:
    is_connected = True
    queues = ()


HEALTHY = _Healthy()


def test_matrix_names_every_route_of_the_application() -> None:
    """A new route must say here who may call it."""
    document = make_api(FakeSystem()).openapi()
    known = {
        (
            method,
            path.partition("?")[0]
            .replace("export-ada", "{exportId}")
            .replace("/lost", "/{deliveryId}"),
        )
        for method, path, _ in ROUTES.values()
    }
    known = {(method, re.sub("/status/[^/]+", "/status/{jobId}", path)) for method, path in known}

    routes = {
        (method.upper(), path) for path, methods in document["paths"].items() for method in methods
    }

    assert routes <= known


@pytest.mark.parametrize(
    ("peer", "status"), [(LOOPBACK, 200), (REMOTE, 401)], ids=["loopback", "elsewhere"]
)
async def test_development_acts_for_the_default_user_on_loopback_only(
    connect: Connect, system: FakeSystem, peer: tuple[str, int], status: int
) -> None:
    system.settings = make_settings(env="development")

    response = await connect(peer=peer).get("/api/exports")

    assert status == response.status_code


async def test_default_user_is_no_operator_and_holds_no_key(
    connect: Connect, system: FakeSystem
) -> None:
    system.settings = make_settings(env="development")
    client = connect(peer=LOOPBACK)

    assert (await client.post("/api/queues/webhook", json=EVENT)).status_code == 401
    assert (await client.get("/api/queues/status/7")).status_code == 404
    assert (await client.get("/api/queues/status/export-ada")).status_code == 200


async def test_development_without_any_user_says_what_is_missing(
    connect: Connect, system: FakeSystem
) -> None:
    system.settings = make_settings(env="development")
    system.users = FakeUsers(known=())

    response = await connect(peer=LOOPBACK).get("/api/exports")

    assert response.status_code == 401
    assert "the database has no sample data" in response.json()["error"]


async def test_page_of_another_site_cannot_use_the_default_user(
    connect: Connect, system: FakeSystem
) -> None:
    system.settings = make_settings(env="development")
    client = connect({"origin": "https://evil.example"}, peer=LOOPBACK)

    response = await client.post("/api/exports", json={"type": "USER_DATA"})

    assert response.status_code == 401
    assert system.exports.requested == []


async def test_key_is_asked_for_before_the_body_is_read(connect: Connect) -> None:
    """A caller without a key must not be able to make the server parse."""
    headers = {"content-type": "application/json"}
    response = await connect().post("/api/exports", content=b"not JSON", headers=headers)

    assert response.status_code == 401


async def test_someone_elses_job_looks_like_no_job(connect: Connect) -> None:
    client = connect(CALLERS["service for Bob"])

    theirs = (await client.get("/api/queues/status/export-ada")).json()
    none = (await client.get("/api/queues/status/nothing")).json()

    assert json.dumps(theirs | {"requestId": ""}) == json.dumps(none | {"requestId": ""})
