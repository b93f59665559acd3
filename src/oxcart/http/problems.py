"""Every refusal as a problem document (RFC 9457), and the one table from errors to statuses.

A document holds ``type``, ``title``, ``status``, ``detail``, ``requestId`` and, for bad fields,
``errors``; and always ``error``, the plain sentence that the site's front end shows. ``type`` is a
path on this server (``/docs#<slug>``), where the reference page explains it.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from oxcart.database.errors import DatabaseUnavailable
from oxcart.errors import JobNotFound, PayloadError, StoreError
from oxcart.exports.errors import (
    BadFilter,
    ExportExpired,
    ExportForbidden,
    ExportNotFound,
    ExportNotReady,
    ExportQuotaExceeded,
    IdempotencyKeyReused,
    LinkExpired,
    LinkInvalid,
    UnknownExportType,
    UnknownFilter,
)
from oxcart.webhooks.errors import DeliveryNotFound, MessageBusy

if TYPE_CHECKING:
    from starlette.requests import Request

log = logging.getLogger("oxcart.http")

MEDIA_TYPE = "application/problem+json"
FIRST_SERVER_ERROR = 500
SHOWN_NAME_CHARS = 100
SHOWN_ERRORS = 20


class Kind(Enum):
    """The kinds of problem: status, slug of the type, title, and what they mean."""

    BAD_REQUEST = (400, "bad-request", "Bad request", "The request cannot be understood.")
    INVALID_JSON = (400, "invalid-json", "Invalid JSON", "The body is not JSON that can be used.")
    INVALID_FIELDS = (400, "invalid-fields", "Invalid fields", "A field or parameter is wrong.")
    UNKNOWN_EXPORT_TYPE = (400, "unknown-export-type", "Unknown export type", "No such export.")
    BAD_FILTER = (400, "bad-filter", "Bad filter", "A filter is unknown or has a wrong value.")
    UNAUTHENTICATED = (401, "unauthenticated", "Not authenticated", "No valid credential was sent.")
    NO_USER = (401, "no-user", "No user", "The key is good, but says for no user who exists.")
    TICKET_INVALID = (401, "ticket-invalid", "Invalid ticket", "The ticket is not one of ours.")
    TICKET_EXPIRED = (401, "ticket-expired", "Ticket expired", "Ask for a new ticket.")
    FORBIDDEN = (403, "forbidden", "Forbidden", "The caller may not do this.")
    CROSS_SITE = (403, "cross-site", "Cross-site request", "A page of another site sent it.")
    LINK_INVALID = (403, "link-invalid", "Invalid link", "The link's signature does not fit.")
    NOT_FOUND = (404, "not-found", "Not found", "There is nothing here that the caller may see.")
    METHOD_NOT_ALLOWED = (405, "method-not-allowed", "Method not allowed", "See Allow.")
    REQUEST_TIMEOUT = (408, "request-timeout", "Request timeout", "The request came too slowly.")
    BUSY = (409, "busy", "Busy", "The same is under way; ask again when it is done.")
    NOT_READY = (409, "not-ready", "Not ready", "The export is not finished; ask again later.")
    EXPORT_EXPIRED = (410, "export-expired", "Export expired", "Ask for the export again.")
    LINK_EXPIRED = (410, "link-expired", "Link expired", "Ask for the export again for a new link.")
    TOO_LARGE = (413, "too-large", "Content too large", "The body is over the limit.")
    UNSUPPORTED_MEDIA_TYPE = (
        415,
        "unsupported-media-type",
        "Unsupported media type",
        "Bodies are application/json in UTF-8, not compressed.",
    )
    KEY_REUSED = (
        422,
        "key-reused",
        "Idempotency key reused",
        "The idempotency key came with another request before.",
    )
    QUOTA_EXCEEDED = (
        429,
        "quota-exceeded",
        "Quota exceeded",
        "The user has asked for enough exports; ask again after Retry-After.",
    )
    TOO_MANY_GUESSES = (
        429,
        "too-many-guesses",
        "Too many wrong credentials",
        "Wrong keys came from this address; wait as long as Retry-After says.",
    )
    RANGE_NOT_SATISFIABLE = (416, "range", "Range not satisfiable", "The file is shorter.")
    TOO_MANY_STREAMS = (
        429,
        "too-many-streams",
        "Too many streams",
        "The caller has too many streams and long polls open.",
    )
    INTERNAL = (500, "internal", "Internal error", "The log has it under requestId.")
    STOPPING = (503, "stopping", "Server stopping", "The server stopped before it could answer.")
    OVERLOADED = (503, "overloaded", "Overloaded", "The server has no room for more connections.")
    STREAMS_FULL = (503, "streams-full", "All streams taken", "Too many clients wait; try later.")
    KEYS_UNAVAILABLE = (
        503,
        "keys-unavailable",
        "Keys unavailable",
        "The issuer's keys for tokens cannot be fetched.",
    )
    QUEUE_UNAVAILABLE = (
        503,
        "queue-unavailable",
        "Queue unavailable",
        "The queue does not answer.",
    )
    DATABASE_UNAVAILABLE = (
        503,
        "database-unavailable",
        "Database unavailable",
        "The database does not answer.",
    )

    def __init__(self, status: int, slug: str, title: str, meaning: str) -> None:
        self.status = status
        self.slug = slug
        self.title = title
        self.meaning = meaning


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldError:
    """One field that is wrong: a JSON pointer into the body, or the parameter's name."""

    pointer: str
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """What one refused request is answered with."""

    kind: Kind
    detail: str
    errors: tuple[FieldError, ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)

    def document(self, request_id: str | None) -> dict[str, Any]:
        """The members of the problem document."""
        members: dict[str, Any] = {
            "type": f"/docs#{self.kind.slug}",
            "title": self.kind.title,
            "status": self.kind.status,
            "detail": self.detail,
            "error": self.detail,
        }
        if self.errors:
            members["errors"] = [
                {"pointer": error.pointer, "detail": error.detail} for error in self.errors
            ]
        if request_id is not None:
            members["requestId"] = request_id
        return members

    def response(self, request_id: str | None) -> Response:
        """The problem as an HTTP response."""
        body = json.dumps(self.document(request_id)).encode("ascii")
        return Response(body, self.kind.status, dict(self.headers), MEDIA_TYPE)


class ProblemError(Exception):
    """Raised inside a route or a dependency to answer with a problem."""

    def __init__(self, kind: Kind, detail: str, **headers: str) -> None:
        super().__init__(detail)
        shown = {name.replace("_", "-"): value for name, value in headers.items()}
        self.problem = Problem(kind=kind, detail=detail, headers=shown)


RETRY_SOON = {"retry-after": "5"}
_TEMPORARY = (Kind.BUSY, Kind.NOT_READY, Kind.QUEUE_UNAVAILABLE, Kind.DATABASE_UNAVAILABLE)

STATUSES: Mapping[type[Exception], Kind] = {
    UnknownExportType: Kind.UNKNOWN_EXPORT_TYPE,
    UnknownFilter: Kind.BAD_FILTER,
    BadFilter: Kind.BAD_FILTER,
    ExportForbidden: Kind.FORBIDDEN,
    ExportNotFound: Kind.NOT_FOUND,
    ExportNotReady: Kind.NOT_READY,
    ExportExpired: Kind.EXPORT_EXPIRED,
    IdempotencyKeyReused: Kind.KEY_REUSED,
    ExportQuotaExceeded: Kind.QUOTA_EXCEEDED,
    LinkInvalid: Kind.LINK_INVALID,
    MessageBusy: Kind.BUSY,
    DeliveryNotFound: Kind.NOT_FOUND,
    LinkExpired: Kind.LINK_EXPIRED,
    JobNotFound: Kind.NOT_FOUND,
    PayloadError: Kind.INVALID_FIELDS,
    StoreError: Kind.QUEUE_UNAVAILABLE,
    DatabaseUnavailable: Kind.DATABASE_UNAVAILABLE,
}
"""Which problem each error of the layers below becomes; a subclass follows its nearest base."""

PLAIN_DETAILS: Mapping[Kind, str] = {
    Kind.INTERNAL: "Something went wrong on the server; its log has the cause under the requestId.",
    Kind.QUEUE_UNAVAILABLE: "The job queue does not answer. Try again in a few seconds.",
    Kind.DATABASE_UNAVAILABLE: "The database does not answer. Try again in a few seconds.",
}
"""What the server's own problems say: an error's text may name hosts or hold passwords."""

_BY_STATUS = {
    kind.status: kind
    for kind in (
        Kind.BAD_REQUEST,
        Kind.UNAUTHENTICATED,
        Kind.FORBIDDEN,
        Kind.NOT_FOUND,
        Kind.METHOD_NOT_ALLOWED,
        Kind.TOO_LARGE,
        Kind.UNSUPPORTED_MEDIA_TYPE,
        Kind.RANGE_NOT_SATISFIABLE,
    )
}


def problem_for_status(status: int, headers: Mapping[str, str] | None = None) -> Problem:
    """The problem for a bare status that the framework chose (404, 405, 416, ...)."""
    fallback = Kind.INTERNAL if status >= FIRST_SERVER_ERROR else Kind.BAD_REQUEST
    kind = _BY_STATUS.get(status, fallback)
    return Problem(kind=kind, detail=_status_detail(kind), headers=headers or {})


def problem_of(error: BaseException) -> Problem:
    """Decide what a raised error is answered with."""
    error = _only_cause(error)
    if isinstance(error, ProblemError):
        return error.problem
    if isinstance(error, HTTPException):
        return problem_for_status(error.status_code, error.headers)
    if isinstance(error, RequestValidationError | ValidationError):
        return problem_of_fields(error.errors())
    kind = next((STATUSES[cls] for cls in type(error).__mro__ if cls in STATUSES), Kind.INTERNAL)
    headers: Mapping[str, str] = RETRY_SOON if kind in _TEMPORARY else {}
    if isinstance(error, ExportQuotaExceeded):
        headers = {"retry-after": str(error.retry_after_seconds)}
    return Problem(kind=kind, detail=PLAIN_DETAILS.get(kind) or str(error), headers=headers)


def problem_of_fields(errors: Sequence[Mapping[str, Any]]) -> Problem:
    """The problem for what pydantic found wrong; names what, never repeats the value."""
    found = tuple(
        FieldError(pointer=_pointer(error["loc"]), detail=str(error["msg"]))
        for error in errors[:SHOWN_ERRORS]
    )
    first = f"{found[0].pointer}: {found[0].detail}" if found else "a field is wrong"
    return Problem(kind=Kind.INVALID_FIELDS, detail=first, errors=found)


async def answer_error(request: Request, error: Exception) -> Response:
    """Turn an error into its response, logging what is the server's own fault."""
    problem = problem_of(error)
    request_id = request.scope.get("oxcart.request_id")
    if problem.kind is Kind.INTERNAL:
        route = getattr(request.scope.get("route"), "path", None)
        fact = {"request_id": request_id, "method": request.scope["method"], "route": route}
        log.error("http.failed", exc_info=error, extra=fact)
    elif problem.kind.status >= FIRST_SERVER_ERROR:
        fact = {"request_id": request_id, "cause": type(error).__name__}
        log.warning("http.unavailable", extra=fact)
    return problem.response(request_id)


def _only_cause(error: BaseException) -> BaseException:
    """Unwrap groups of one error: a service that runs a TaskGroup raises those."""
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error


def _status_detail(kind: Kind) -> str:
    return PLAIN_DETAILS.get(kind) or f"{HTTPStatus(kind.status).phrase}: {kind.meaning}"


def _pointer(loc: Sequence[str | int]) -> str:
    parts = [str(part)[:SHOWN_NAME_CHARS] for part in loc if part != "body"]
    escaped = (part.replace("~", "~0").replace("/", "~1") for part in parts)
    return "/" + "/".join(escaped) if parts else ""
