"""Whatever is sent, the answer is a 4xx problem document and never a 500."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

import httpx2
import pytest
from tests.unit.http.conftest import Connect
from tests.unit.http.fakes import OPERATOR_KEY

from oxcart.http.problems import MEDIA_TYPE

JSON = {"content-type": "application/json"}
EVENT = {"event": "completed", "jobId": "export-ada", "queue": "export", "data": {}}


@dataclass(frozen=True)
class Case:
    name: str
    method: str
    path: str
    status: int
    body: bytes | None = None
    headers: dict[str, str] = field(default_factory=lambda: JSON)


def export(name: str, body: object, status: int = 400) -> Case:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Case(name, "POST", "/api/exports", status, raw)


def media(name: str, headers: dict[str, str]) -> Case:
    return Case(name, "POST", "/api/exports", 415, b'{"type": "USER_DATA"}', headers)


def event(name: str, **changes: object) -> Case:
    raw = json.dumps({k: v for k, v in (EVENT | changes).items() if v is not ...}).encode()
    return Case(name, "POST", "/api/queues/webhook", 400, raw)


def get(name: str, path: str, status: int) -> Case:
    return Case(name, "GET", path, status)


CASES = [
    export("no body", b""),
    export("not JSON", b"type=USER_DATA"),
    export("half JSON", b'{"type": "USER_'),
    export("deep JSON", b"[" * 100_000 + b"]" * 100_000),
    export("deep filters", b'{"type":"USER_DATA","filters":' + b'{"a":' * 900 + b"1" + b"}" * 901),
    export("an array", []),
    export("a string", "USER_DATA"),
    export("null", None),
    export("no type", {}),
    export("type null", {"type": None}),
    export("type a number", {"type": 7}),
    export("type a list", {"type": ["USER_DATA"]}),
    export("type empty", {"type": ""}),
    export("type unknown", {"type": "PASSWORDS"}),
    export("type over-long", {"type": "U" * 65}),
    export("type with NUL", {"type": "USER_DATA\0"}),
    export("type with half a surrogate pair", b'{"type": "\\ud800"}'),
    export("type twice", b'{"type": "USER_DATA", "type": "MEMBERS"}'),
    export("unknown member", {"type": "USER_DATA", "userId": "user-bob"}),
    export("filters a list", {"type": "USER_DATA", "filters": []}),
    export("filters a string", {"type": "USER_DATA", "filters": "role=ADMIN"}),
    export(
        "too many filters", {"type": "USER_DATA", "filters": dict.fromkeys(map(str, range(51)))}
    ),
    export("filter with NUL", {"type": "USER_DATA", "filters": {"role": {"in": ["\0"]}}}),
    export("filter name with NUL", {"type": "USER_DATA", "filters": {"\0": 1}}),
    export("NaN", b'{"type": "USER_DATA", "filters": {"powerScore": NaN}}'),
    export("number without end", b'{"type": "USER_DATA", "filters": {"a": ' + b"9" * 5000 + b"}}"),
    export("not UTF-8", b'{"type": "\xff\xfe"}'),
    export("UTF-16", '{"type": "USER_DATA"}'.encode("utf-16")),
    export("too large", b" " * 1_048_577, 413),
    media("no media type", {}),
    media("text/plain", {"content-type": "text/plain"}),
    media("a form", {"content-type": "application/x-www-form-urlencoded"}),
    media("multipart", {"content-type": "multipart/form-data; boundary=x"}),
    media("media type that is none", {"content-type": ";;;"}),
    media("another charset", {"content-type": "application/json; charset=utf-7"}),
    media("compressed", JSON | {"content-encoding": "gzip"}),
    event("no event", event=...),
    event("unknown event", event="exploded"),
    event("no job id", jobId=...),
    event("job id empty", jobId=""),
    event("job id a number", jobId=7),
    event("job id over-long", jobId="x" * 201),
    event("unknown queue", queue="payments"),
    event("no queue", queue=...),
    event("no data", data=...),
    event("data a list", data=[]),
    event("error an object", event="failed", error={"message": "no"}),
    event("error over-long", event="failed", error="x" * 10_001),
    event("unknown member", admin=True),
    get("unknown status", "/api/exports?status=EXPLODED", 400),
    get("status in small letters", "/api/exports?status=pending", 400),
    get("unknown parameter", "/api/queues/status/export-ada?limit=1000000", 400),
    get("cursor over-long", "/api/exports?cursor=" + "x" * 501, 400),
    get("parameter with NUL", "/api/exports?status=%00", 400),
    get("cursor with NUL", "/api/exports?cursor=%00", 400),
    get("cursor that is not UTF-8", "/api/exports?cursor=%ff%fe%00", 400),
    get("job id reserved", "/api/queues/status/meta", 404),
    get("job id with a colon", "/api/queues/status/1:logs", 404),
    get("job id with NUL", "/api/queues/status/%00", 404),
    get("job id with a newline", "/api/queues/status/a%0Ab", 404),
    get("job id with a slash", "/api/queues/status/a%2Fb", 404),
    get("job id that climbs", "/api/queues/status/..%2f..%2fmeta", 404),
    get("job id that is not UTF-8", "/api/queues/status/%ff%fe", 404),
    get("job id over-long", "/api/queues/status/" + "x" * 5000, 404),
    get("job id with glob", "/api/queues/status/*", 404),
    get("export id with NUL", "/api/exports/%00", 404),
    get("export id with a quote", "/api/exports/'%20OR%201=1", 404),
    get("export id over-long", "/api/exports/" + "x" * 5000, 404),
    get("file of a climbing id", "/api/exports/..%2f..%2fetc%2fpasswd/file", 404),
    get("link with an unknown parameter", "/api/exports/export-ada/file?path=/etc/passwd", 400),
    get("signature over-long", "/api/exports/export-ada/file?signature=" + "x" * 201, 400),
    get("signature that is none", "/api/exports/export-ada/file?expires=x&signature=%00", 403),
    get("trailing slash", "/api/exports/", 404),
    get("unknown route", "/api/users", 404),
    Case("wrong method", "PUT", "/api/exports", 405),
    Case("wrong method on a file", "DELETE", "/api/exports/export-ada/file", 405),
    Case("method that nobody knows", "BREW", "/api/health", 405),
    Case("body over-long on a GET", "GET", "/api/exports", 413, b"x" * 1_048_577),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_hostile_request_is_refused_with_a_problem(connect: Connect, case: Case) -> None:
    client = connect({"authorization": f"Bearer {OPERATOR_KEY}", "x-oxcart-user": "user-ada"})

    response = await client.request(case.method, case.path, content=case.body, headers=case.headers)

    assert case.status == response.status_code, response.text
    assert_problem(response)


def assert_problem(response: httpx2.Response) -> None:
    document = response.json()
    assert response.headers["content-type"] == MEDIA_TYPE
    assert response.status_code == document["status"]
    assert document["type"].startswith("/docs#")
    assert document["title"]
    assert document["detail"] == document["error"]
    assert response.headers["x-request-id"] == document["requestId"]


@pytest.mark.parametrize(
    "headers",
    [
        {"authorization": "Bearer \x00"},
        {"authorization": "Bearer " + "x" * 100_000},
        {"x-api-key": "\xff\xfe"},
        {"x-api-key": OPERATOR_KEY, "x-oxcart-user": "user-ada\x00"},
        {"x-api-key": OPERATOR_KEY, "x-oxcart-user": "' OR 1=1 --"},
        {"x-api-key": OPERATOR_KEY, "x-oxcart-user": "x" * 5000},
    ],
)
async def test_hostile_credentials_are_a_401(connect: Connect, headers: dict[str, str]) -> None:
    raw = {name.encode(): value.encode("latin-1") for name, value in headers.items()}
    response = await connect().get("/api/exports", headers=list(raw.items()))

    assert response.status_code == 401
    assert_problem(response)
