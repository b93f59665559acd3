"""Random requests: whatever a server can hand on is answered, and never with a 500."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.types import Message
from tests.unit.http.fakes import ADA, OPERATOR_KEY, FakeSystem, make_api

from oxcart.http.problems import MEDIA_TYPE

API = make_api(FakeSystem())
PATHS = [
    "/api/exports",
    "/api/exports/export-ada",
    "/api/exports/export-ada/file",
    "/api/queues/status/export-ada",
    "/api/queues/webhook",
    "/openapi.json",
    "/docs",
]
KEY = [(b"x-api-key", OPERATOR_KEY.encode()), (b"x-oxcart-user", ADA.id.encode())]
JSON = [(b"content-type", b"application/json")]

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)
members = st.sampled_from(
    ["type", "filters", "event", "jobId", "queue", "data", "result", "error", "x"]
)
values = json_values | st.sampled_from(
    ["USER_DATA", "completed", "failed", "email", "export", "export-ada"]
)
bodies = st.binary(max_size=200) | st.dictionaries(members, values).map(
    lambda value: json.dumps(value).encode("utf-8", "surrogatepass")
)
header_values = st.binary(max_size=40).filter(lambda value: not {0, 10, 13} & set(value))
header_names = st.sampled_from(
    [
        b"content-type",
        b"content-length",
        b"content-encoding",
        b"range",
        b"origin",
        b"host",
        b"authorization",
        b"x-api-key",
        b"x-oxcart-user",
        b"x-request-id",
        b"if-none-match",
    ]
)


@settings(max_examples=300, deadline=None)
@given(
    method=st.sampled_from(["GET", "POST", "HEAD", "PUT", "DELETE", "OPTIONS", "X"]),
    path=st.sampled_from(PATHS)
    | st.text(max_size=40).map(lambda text: f"/api/exports/{text}")
    | st.text(max_size=40).map(lambda text: f"/api/queues/status/{text}")
    | st.text(max_size=40),
    query=st.binary(max_size=60),
    body=bodies,
    headers=st.lists(st.tuples(header_names, header_values), max_size=3),
    base=st.sampled_from([[], KEY, KEY + JSON]),
)
def test_random_request_is_answered_and_never_with_a_500(
    method: str,
    path: str,
    query: bytes,
    body: bytes,
    headers: list[tuple[bytes, bytes]],
    base: list[tuple[bytes, bytes]],
) -> None:
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": query,
        "root_path": "",
        "headers": [*headers, *base],
        "client": ("203.0.113.7", 1),
        "server": ("127.0.0.1", 8400),
    }

    status, shown, answer = asyncio.run(ask(scope, body))

    assert 200 <= status < 500, answer
    if status >= 400:
        assert shown[b"content-type"] == MEDIA_TYPE.encode()
        assert json.loads(answer)["status"] == status


async def ask(scope: dict[str, Any], body: bytes) -> tuple[int, dict[bytes, bytes], bytes]:
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    await API(scope, receive, send)
    start, *rest = sent
    return start["status"], dict(start["headers"]), b"".join(part["body"] for part in rest)
