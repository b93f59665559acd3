"""What the OpenAPI document says beside what FastAPI knows: examples, refusals, files, events."""

from __future__ import annotations

from typing import Any

from oxcart.http.live.sse import MEDIA_TYPE as EVENTS
from oxcart.http.openapi_examples import PARAMETERS
from oxcart.http.openapi_routes import DETAILS, Details
from oxcart.http.problems import MEDIA_TYPE, FieldError, Kind, Problem

REQUEST_ID = "b3f1c2d4e5f60718"
EVERY_ROUTE = (Kind.INTERNAL, Kind.STOPPING)
FILE_PATH = "/api/exports/{exportId}/file"
TICKET_SCHEME = {
    "type": "apiKey",
    "in": "query",
    "name": "ticket",
    "description": "A ticket for this job: permits its status and its events for a short time.",
}
LINK_SCHEME = {
    "type": "apiKey",
    "in": "query",
    "name": "signature",
    "description": "The signature of a download link, with `expires`; see `fileUrl`.",
}
WEBHOOK_SCHEME = {
    "type": "apiKey",
    "in": "header",
    "name": "webhook-signature",
    "description": "A signature by the Standard Webhooks specification, with `webhook-id` and "
    "`webhook-timestamp`.",
}
_LAST_EVENT_ID = {
    "name": "Last-Event-ID",
    "in": "header",
    "required": False,
    "schema": {"type": "string", "maxLength": 50},
    "description": "The id of the last event that the client has seen; browsers send it.",
}
_EVENT = {
    "type": "object",
    "properties": {
        "event": {"enum": ["status", "state", "progress", "end", "dropped"]},
        "data": {"type": "string", "contentMediaType": "application/json"},
        "id": {"type": "string", "description": "Up to which the client then knows everything."},
        "retry": {"type": "integer", "description": "In milliseconds."},
    },
}
_BINARY = {"type": "string", "format": "binary"}
_FILE_TYPES = ("text/csv", "application/zip", "application/json")


def add_details(path: str, method: str, operation: dict[str, Any]) -> None:
    """Add the examples and the refusals of one route.

    Args:
        path: the route's path.
        method: its method, in lower case.
        operation: its description in the document, which is changed.
    """
    details = DETAILS.get((method, path), Details(answers={}))
    if path == FILE_PATH:
        _add_file(operation)
    if EVENTS in operation["responses"].get("200", {}).get("content", {}):
        # As FastAPI describes events: each one is an item.
        operation["responses"]["200"]["content"][EVENTS] = {"itemSchema": _EVENT}
        operation.setdefault("parameters", []).append(dict(_LAST_EVENT_ID))
    for status, examples in details.answers.items():
        for content in operation["responses"][status]["content"].values():
            content["examples"] = _examples(examples)
    for content in operation.get("requestBody", {}).get("content", {}).values():
        content["examples"] = _examples(details.request)
    for parameter in operation.get("parameters", ()):
        known = {**PARAMETERS, **details.parameters}
        if parameter["name"] in known:
            parameter["example"] = known[parameter["name"]]
    for status, answer in _refusals((*details.problems, *EVERY_ROUTE)).items():
        operation["responses"].setdefault(status, answer)


def problem_examples(kinds: tuple[Kind, ...]) -> dict[str, Any]:
    """An example of each kind of refusal."""
    return {kind.slug: {"summary": kind.title, "value": _problem(kind)} for kind in kinds}


def _examples(values: dict[str, Any]) -> dict[str, Any]:
    return {name: {"value": value} for name, value in values.items()}


def _refusals(kinds: tuple[Kind, ...]) -> dict[str, Any]:
    """The refusals by status."""
    by_status: dict[str, list[Kind]] = {}
    for kind in dict.fromkeys(kinds):
        by_status.setdefault(str(kind.status), []).append(kind)
    return {
        status: {
            "description": " ".join(kind.meaning for kind in found),
            "content": {
                MEDIA_TYPE: {
                    "schema": {"$ref": "#/components/schemas/Problem"},
                    "examples": problem_examples(tuple(found)),
                }
            },
        }
        for status, found in sorted(by_status.items())
    }


def _problem(kind: Kind) -> dict[str, Any]:
    errors = (
        (FieldError(pointer="/type", detail="Field required"),)
        if kind is Kind.INVALID_FIELDS
        else ()
    )
    detail = "/type: Field required" if errors else kind.meaning
    return Problem(kind=kind, detail=detail, errors=errors).document(REQUEST_ID)


def _add_file(operation: dict[str, Any]) -> None:
    content = {media_type: {"schema": _BINARY} for media_type in _FILE_TYPES}
    operation["responses"].update(
        {
            "200": {"description": "The file", "content": content},
            "206": {
                "description": "The part of the file that `Range` asks for",
                "content": {**content, "multipart/byteranges": {"schema": _BINARY}},
            },
            "304": {"description": "`If-None-Match` has the file's `ETag`"},
        }
    )
