"""The OpenAPI document is true: its examples fit its schemas, and real answers fit it too."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
from jsonschema import Draft202012Validator
from tests.integration.http.running import (
    ADA,
    OPERATOR,
    SERVICE_KEY,
    acting_for,
    add_users,
    make_settings,
    until_finished,
    working,
)

from oxcart.http import create_app
from oxcart.http.problems import MEDIA_TYPE, Kind
from oxcart.system import System, open_system

WEBHOOK_SECRET = "whsec_" + base64.b64encode(b"0123456789abcdef0123456789abcdef").decode()
JSON = ("application/json", MEDIA_TYPE)


class Contract:
    """The document, and what was seen of it.

    Args:
        document: the OpenAPI document.
    """

    def __init__(self, document: dict[str, Any]) -> None:
        self._document = document
        self._closed = _without_further_members(document["components"])
        self.seen: set[tuple[str, str, str]] = set()

    def operations(self) -> Iterator[tuple[str, str, dict[str, Any]]]:
        for path, methods in self._document["paths"].items():
            for method, operation in methods.items():
                yield path, method, operation

    def check(self, value: Any, schema: dict[str, Any]) -> None:
        """Fail unless a value fits a schema and has no member that the schema does not name."""
        root = {**_without_further_members(schema), "components": self._closed}
        errors = [error.message for error in Draft202012Validator(root).iter_errors(value)]
        assert errors == [], value

    async def check_answer(self, response: httpx2.Response) -> None:
        """Fail unless a real answer is one that the document describes."""
        await response.aread()
        path, method = response.request.url.path, response.request.method.lower()
        template, operation = next(
            (template, operation)
            for template, of_method, operation in self.operations()
            if of_method == method and re.fullmatch(re.sub(r"{\w+}", "[^/]+", template), path)
        )
        status = str(response.status_code)
        described = operation["responses"].get(status) or operation["responses"]["default"]
        media_type = response.headers.get("content-type", "").partition(";")[0]
        self.seen.add((method, template, status))
        if not media_type and "content" not in described:
            return
        assert media_type in described["content"], f"{method} {path} {status}: {media_type}"
        if media_type in JSON and "schema" in (content := described["content"][media_type]):
            value = response.json()
            self.check(value, content["schema"])
            if media_type == MEDIA_TYPE and status in operation["responses"]:
                slug = value["type"].partition("#")[2]
                assert slug in content["examples"], f"{method} {path} {status}: {slug}"


def _without_further_members(schema: Any) -> Any:
    """A copy of a schema whose objects have no members but those that it names."""
    if isinstance(schema, list):
        return [_without_further_members(inner) for inner in schema]
    if not isinstance(schema, dict):
        return schema
    copy = {name: _without_further_members(inner) for name, inner in schema.items()}
    if isinstance(copy.get("properties"), dict) and copy.get("type") == "object":
        copy.setdefault("additionalProperties", False)
    return copy


def events_in(text: str) -> Iterator[dict[str, Any]]:
    """The events of a stream, without its comments."""
    for block in text.split("\n\n"):
        lines = [line.split(": ", 1) for line in block.splitlines() if not line.startswith(":")]
        event: dict[str, Any] = dict(lines)
        if "retry" in event:
            event["retry"] = int(event["retry"])
        if event:
            json.loads(event["data"])
            yield event


async def test_every_example_fits_its_schema_and_every_route_has_examples(system: System) -> None:
    contract = Contract(create_app(system).openapi())

    for path, method, operation in contract.operations():
        contents = [
            (status, content)
            for status, answer in operation["responses"].items()
            for media_type, content in answer.get("content", {}).items()
            if media_type in (*JSON, "text/event-stream", "text/plain")
            and not path.endswith("/file")
        ]
        bodies = operation.get("requestBody", {}).get("content", {}).values()
        contents += [("body", content) for content in bodies]
        for status, content in contents:
            assert content["examples"], f"{method} {path} {status}"
            for example in content["examples"].values():
                if "schema" in content:
                    contract.check(example["value"], content["schema"])
                else:
                    for event in events_in(example["value"]):
                        contract.check(event, content["itemSchema"])
        for parameter in operation.get("parameters", ()):
            contract.check(parameter["example"], parameter["schema"])
        assert {"500", "503", "default"} <= set(operation["responses"])
        secured = {name for scheme in operation.get("security", ()) for name in scheme}
        assert secured <= set(create_app(system).openapi()["components"]["securitySchemes"])
    document = json.dumps(create_app(system).openapi())
    assert [kind.slug for kind in Kind if f"/docs#{kind.slug}" not in document] == [
        Kind.OVERLOADED.slug  # of the server itself, before any route
    ]


async def test_real_answers_are_those_that_the_document_describes(
    valkey_url: str, prefix: str, tmp_path: Path
) -> None:
    settings = make_settings(
        tmp_path,
        redis_url=valkey_url,
        prefix=prefix,
        webhook_endpoints=("site=https://127.0.0.1:9/",),  # is refused, and stays pending
        webhook_secrets=(f"site={WEBHOOK_SECRET}",),
    )
    async with open_system(settings) as system:
        await add_users(system.database)
        app = create_app(system)
        contract = Contract(app.openapi())

        def client(headers: dict[str, str]) -> httpx2.AsyncClient:
            return httpx2.AsyncClient(
                transport=httpx2.ASGITransport(app, client=("203.0.113.7", 1)),
                base_url=settings.base_url,
                headers=headers,
                event_hooks={"response": [contract.check_answer]},
            )

        async with (
            client(acting_for(ADA)) as ada,
            client(OPERATOR) as operator,
            client({}) as anonymous,
            client({"authorization": f"Bearer {SERVICE_KEY}"}) as service,
        ):
            await _use_every_route(system, ada, operator)
            await _be_refused(ada, operator, anonymous, service)

    described = {
        (method, path, status)
        for path, method, operation in contract.operations()
        for status in operation["responses"]
    }
    successes = {entry for entry in described if entry[2] in ("200", "204", "206", "304")}
    assert successes <= contract.seen
    assert len(contract.seen & described) >= len(successes) + 25


async def _use_every_route(
    system: System, ada: httpx2.AsyncClient, operator: httpx2.AsyncClient
) -> None:
    created = (await ada.post("/api/exports", json={"type": "USER_DATA"})).json()
    export_id = created["exportJob"]["id"]
    export, job = f"/api/exports/{export_id}", f"/api/queues/status/{export_id}"
    await ada.get(f"{export}/file")  # not ready yet
    await ada.get(job)
    async with working(system):
        await until_finished(ada, export_id)
    for path in (
        export,
        job,
        f"{export}/events",
        f"{job}/events",
        "/api/exports",
        f"{export}/file",
    ):
        await ada.get(path)
    for path in (f"{export}/events", f"{job}/events"):
        await ada.get(path, headers={"last-event-id": "1-1:end"})
    whole = await ada.get(f"{export}/file", headers={"range": "bytes=0-9"})
    await ada.get(f"{export}/file", headers={"if-none-match": whole.headers["etag"]})
    await ada.get(f"{export}/file", headers={"range": "bytes=999999999-"})
    for path in (export, job):
        await ada.post(f"{path}/ticket")
    for path in ("/api/queues", "/metrics", "/api/health", "/api/health/live"):
        await operator.get(path)
    await operator.post("/api/worker/burst", params={"maxSeconds": 1})
    event = {"event": "completed", "jobId": export_id, "queue": "export", "data": {}}
    await operator.post("/api/queues/webhook", json=event)
    deliveries = (await operator.get("/api/webhooks/deliveries")).json()["deliveries"]
    delivery = f"/api/webhooks/deliveries/{deliveries[0]['id']}"
    await operator.get(delivery)
    await operator.post(f"{delivery}/redeliver")
    mail = await system.app.queue("email").add("welcome", {"toEmail": "ada@example.org"})
    await operator.get(f"/api/queues/status/{mail.id}")


async def _be_refused(
    ada: httpx2.AsyncClient,
    operator: httpx2.AsyncClient,
    anonymous: httpx2.AsyncClient,
    service: httpx2.AsyncClient,
) -> None:
    paths = ("/api/exports/none", "/api/queues/status/none")
    for path in (*paths, *(f"{path}/events" for path in paths), "/api/exports/none/file"):
        await ada.get(path)
        await ada.get(path, params={"ticket": "x", "wait": "x", "expires": "x"})
        await service.get(path)
    await operator.get("/api/webhooks/deliveries/dlv_0")
    for path in ("/api/exports", "/api/queues", "/metrics", "/api/webhooks/deliveries"):
        await anonymous.get(path)
        await ada.get(path, params={"status": "none"})
    for path in paths:
        await ada.post(f"{path}/ticket")
        await anonymous.post(f"{path}/ticket")
    for body in (b"{", b"[]", b'{"type": "PASSWORDS"}', b'{"type": "MEMBERS"}', b"x" * 2**21):
        await ada.post("/api/exports", content=body, headers={"content-type": "application/json"})
        await operator.post("/api/queues/webhook", content=body)
    filters = {"type": "MEMBERS", "filters": {"no such filter": 1}}
    await ada.post("/api/exports", json=filters)
    for type_ in ("USER_DATA", "ANALYTICS"):
        await ada.post("/api/exports", json={"type": type_}, headers={"idempotency-key": "k"})
    await ada.post("/api/worker/burst")
    await operator.post("/api/worker/burst", params={"maxSeconds": 0})
    await operator.post("/api/exports", json={"type": "USER_DATA"})
