"""The API's own reference: the OpenAPI document completed, and the page drawn from it.

*Decision.* ``/docs`` is a page made on the server from ``/openapi.json``. Swagger UI and ReDoc load
megabytes of scripts from a CDN: they do not work offline, a strict content policy forbids them, and
a copy in the repository would have to be kept safe. The page has no script at all; its one inline
style sheet is allowed by its hash.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, select_autoescape
from pydantic.json_schema import models_json_schema

from oxcart.http.openapi_details import (
    LINK_SCHEME,
    TICKET_SCHEME,
    WEBHOOK_SCHEME,
    add_details,
    problem_examples,
)
from oxcart.http.openapi_examples import PARAMETERS
from oxcart.http.problems import MEDIA_TYPE, Kind
from oxcart.http.schemas import ExportRequest, WebhookEvent

_OPEN_PATHS = ("/api/health", "/api/health/live")
_WEBHOOK_PATH = "/api/queues/webhook"
_LINK_PATHS = ("/api/exports/{exportId}/file",)
_REQUESTS = (ExportRequest, WebhookEvent)
_KEYS: list[dict[str, list[str]]] = [{"operatorOrServiceKey": []}, {"apiKeyHeader": []}]
_USER_PREFIXES = ("/api/exports", "/api/queues/status/")
"""Routes that act for a user, for which a session of the site is enough."""

_SECURITY_SCHEMES = {
    "operatorOrServiceKey": {"type": "http", "scheme": "bearer"},
    "apiKeyHeader": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
    "bearerToken": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "A JSON Web Token of an issuer that the server's settings name.",
    },
    "siteSession": {
        "type": "apiKey",
        "in": "cookie",
        "name": "next-auth.session-token",
        "description": "The session cookie of NextAuth v4 or Auth.js v5, under any of its names. "
        "Requests that change something must also come from a page of a trusted origin.",
    },
}
_SECURITY_SCHEMES |= {"ticket": TICKET_SCHEME, "signedLink": LINK_SCHEME}
_SECURITY_SCHEMES |= {"webhookSignature": WEBHOOK_SCHEME}
_PROBLEM_SCHEMA = {
    "type": "object",
    "required": ["type", "title", "status", "detail", "error", "requestId"],
    "properties": {
        "type": {"type": "string", "description": "A path on this server that explains it."},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "error": {"type": "string", "description": "The same sentence as detail."},
        "requestId": {"type": "string", "description": "Finds the request in the server's log."},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"pointer": {"type": "string"}, "detail": {"type": "string"}},
            },
        },
    },
}
_USER_HEADER = {
    "name": "X-Oxcart-User",
    "in": "header",
    "required": False,
    "schema": {"type": "string"},
    "description": "The user that a key acts for.",
    "example": PARAMETERS["X-Oxcart-User"],
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One route on the reference page."""

    method: str
    path: str
    summary: str
    needs_key: bool
    parameters: tuple[dict[str, Any], ...]
    body: str | None
    answers: tuple[tuple[str, str, str | None], ...]
    """Status, what it means, and the answer's schema."""


def complete_openapi(document: dict[str, Any]) -> dict[str, Any]:
    """Add what FastAPI cannot know: how to authenticate, and that refusals are problems."""
    components = document.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    schemas["Problem"] = _PROBLEM_SCHEMA
    schemas.update(_request_schemas())
    components["securitySchemes"] = _SECURITY_SCHEMES
    for path, method, operation in _operations(document):
        operation["responses"].pop("422", None)
        add_details(path, method, operation)
        operation["responses"]["default"] = _problem_response()
        if path not in _OPEN_PATHS:
            operation["security"] = [
                *_KEYS,
                *(
                    [{"bearerToken": []}, {"siteSession": []}]
                    if path.startswith(_USER_PREFIXES)
                    else []
                ),
                *([{"ticket": []}] if _takes_ticket(operation) else []),
                *([{"signedLink": []}] if path in _LINK_PATHS else []),
                *([{"webhookSignature": []}] if path == _WEBHOOK_PATH else []),
            ]
            operation.setdefault("parameters", []).append(_USER_HEADER)
    return document


def reference_page(document: dict[str, Any]) -> str:
    """Draw the reference page."""
    template = _environment().get_template("reference.html.j2")
    return template.render(
        title=document["info"]["title"],
        version=document["info"]["version"],
        style=style_sheet(),
        operations=[_shown(document, *entry) for entry in _operations(document)],
        kinds=list(Kind),
    )


def page_policy() -> str:
    """The content policy of the page: nothing but its own style sheet."""
    digest = base64.b64encode(hashlib.sha256(style_sheet().encode()).digest()).decode()
    return (
        f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    )


@cache
def style_sheet() -> str:
    """The page's style sheet."""
    return (files("oxcart.http") / "templates" / "reference.css").read_text(encoding="utf-8")


@cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("oxcart.http"),
        autoescape=select_autoescape(default=True, default_for_string=True),
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _request_schemas() -> dict[str, Any]:
    """The bodies' schemas: routes read them by a dependency, so FastAPI does not see them."""
    _, document = models_json_schema(
        [(model, "validation") for model in _REQUESTS],
        ref_template="#/components/schemas/{model}",
    )
    return dict(document["$defs"])


def _operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield path, method, operation


def _problem_response() -> dict[str, Any]:
    content = {
        "schema": {"$ref": "#/components/schemas/Problem"},
        "examples": problem_examples((Kind.NOT_FOUND, Kind.METHOD_NOT_ALLOWED)),
    }
    return {"description": "Any other refusal, as RFC 9457", "content": {MEDIA_TYPE: content}}


def _takes_ticket(operation: dict[str, Any]) -> bool:
    return any(parameter["name"] == "ticket" for parameter in operation.get("parameters", ()))


def _shown(
    document: dict[str, Any], path: str, method: str, operation: dict[str, Any]
) -> Operation:
    body = operation.get("requestBody")
    return Operation(
        method=method.upper(),
        path=path,
        summary=operation.get("description") or operation["summary"],
        needs_key="security" in operation,
        parameters=tuple(operation.get("parameters", ())),
        body=_schema_text(document, body) if body else None,
        answers=tuple(
            (status, answer["description"], _schema_text(document, answer))
            for status, answer in operation["responses"].items()
            if MEDIA_TYPE not in answer.get("content", {})
        ),
    )


def _schema_text(document: dict[str, Any], holder: dict[str, Any]) -> str | None:
    for content in holder.get("content", {}).values():
        if content.get("schema"):
            return json.dumps(_resolved(document, content["schema"]), indent=2)
    return None


def _resolved(document: dict[str, Any], schema: Any) -> Any:
    """A schema with its references filled in; none of ours refers to itself."""
    if isinstance(schema, list):
        return [_resolved(document, inner) for inner in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return _resolved(document, document["components"]["schemas"][name])
    return {name: _resolved(document, inner) for name, inner in schema.items() if name != "title"}
