"""The outermost layer of the application: what is true of every answer, whatever happens inside.

Every answer carries a request id and the security headers; every refusal is a problem document,
also those that the framework words itself; an unexpected exception is a 500 without a traceback;
and one log line a request names route, status and duration, never the query (it may hold a
signature).
"""

from __future__ import annotations

import asyncio
import logging
import re
import secrets
import time
from typing import TYPE_CHECKING
from urllib.parse import quote

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from oxcart.http.cors import Cors
from oxcart.http.problems import (
    MEDIA_TYPE,
    Kind,
    Problem,
    ProblemError,
    answer_error,
    problem_for_status,
)
from oxcart.http.proxies import TrustedProxies

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

log = logging.getLogger("oxcart.http")
audit_log = logging.getLogger("oxcart.audit")

AUDIT = "oxcart.audit"
"""In the scope of a request that is recorded for audits: facts beside those of its log line."""

SECURITY_HEADERS = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "content-security-policy": "default-src 'none'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cache-control": "no-store",
}
"""Set where the route has not set its own."""

HSTS = "max-age=31536000"
"""For answers over https: browsers come back by https alone for a year."""

FIRST_ERROR = 400
CLIENT_GONE = 499
SHOWN_PATH_CHARS = 200
_STOPPING = Problem(
    kind=Kind.STOPPING,
    detail="The server is stopping. Try again in a few seconds.",
    headers={"connection": "close", "retry-after": "5"},
)
_REQUEST_ID = re.compile(r"[A-Za-z0-9_.-]{1,64}\Z")
_KEPT_OF_REFUSAL = ("allow", "content-range", "retry-after", "www-authenticate")


class Edge:
    """ASGI middleware around everything else.

    Args:
        app: the application.
        proxies: the proxies that may say where a request came from.
        cors: the pages of other origins that may call the API.
        is_https: whether clients reach the API by https alone, whatever the last hop is.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        proxies: TrustedProxies | None = None,
        cors: Cors | None = None,
        is_https: bool = False,
    ) -> None:
        self._app = app
        self._proxies = proxies or TrustedProxies()
        self._cors = cors or Cors()
        self._is_https = is_https

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request and always answer it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        scope["oxcart.request_id"] = _request_id(scope)
        self._proxies.apply(scope)
        answer = _Answer(scope, receive, send, self._dress)
        started = time.monotonic()
        try:
            check_framing(scope)
            preflight = self._cors.preflight(scope)
            app = self._app if preflight is None else Response(status_code=204, headers=preflight)
            await app(scope, receive, answer.send)
        except ClientDisconnect:
            answer.status = answer.status or CLIENT_GONE
        except asyncio.CancelledError:
            if answer.status is None:  # the server's grace is over; its own words would be a 500
                await _STOPPING.response(scope["oxcart.request_id"])(scope, receive, answer.send)
            raise
        except (
            Exception
        ) as error:  # the one place that keeps a bug from being an unanswered request
            response = await answer_error(Request(scope), error)
            if answer.status is not None:
                raise  # half an answer is out: only a broken connection can say so
            await response(scope, receive, answer.send)
        finally:
            _log_request(scope, answer.status, time.monotonic() - started)

    def _dress(self, scope: Scope, headers: MutableHeaders) -> None:
        """Set the headers of every answer."""
        headers["x-request-id"] = scope["oxcart.request_id"]
        for name, value in SECURITY_HEADERS.items():
            headers.setdefault(name, value)
        if self._is_https or scope.get("scheme") == "https":
            headers.setdefault("strict-transport-security", HSTS)
        self._cors.mark(scope, headers)


class _Answer:
    """The way out of one request: adds headers, rewords refusals that are no problem documents."""

    def __init__(
        self,
        scope: Scope,
        receive: Receive,
        send: Send,
        dress: Callable[[Scope, MutableHeaders], None],
    ) -> None:
        self.status: int | None = None
        self._dress = dress
        self._scope = scope
        self._receive = receive
        self._send = send
        self._is_reworded = False

    async def send(self, message: Message) -> None:
        """Pass one ASGI message on."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            await self._start(message)
        elif not self._is_reworded:
            await self._send(message)

    async def _start(self, message: Message) -> None:
        request_id = self._scope["oxcart.request_id"]
        headers = MutableHeaders(raw=list(message.get("headers", ())))
        if _needs_rewording(message["status"], headers):
            kept = {name: headers[name] for name in _KEPT_OF_REFUSAL if name in headers}
            response = problem_for_status(message["status"], kept).response(request_id)
            self._is_reworded = True
            self._dress(self._scope, response.headers)
            await response(self._scope, self._receive, self._send)
        else:
            self._dress(self._scope, headers)
            await self._send({**message, "headers": headers.raw})


def check_framing(scope: Scope) -> None:
    """Refuse a request whose end two servers could see in different places (RFC 9112, 6.1).

    Raises:
        ProblemError: 400, and the connection is closed.
    """
    names = {name for name, _ in scope["headers"]}
    if b"transfer-encoding" not in names:
        return
    if b"content-length" in names or scope.get("http_version") == "1.0":
        detail = "send either Content-Length or, over HTTP/1.1, Transfer-Encoding"
        raise ProblemError(Kind.BAD_REQUEST, detail, connection="close")


def _needs_rewording(status: int, headers: Headers) -> bool:
    media_type = headers.get("content-type", "").partition(";")[0]
    return status >= FIRST_ERROR and media_type not in (MEDIA_TYPE, "application/json")


def _request_id(scope: Scope) -> str:
    """The caller's request id where it is harmless, else a new one."""
    given = Headers(scope=scope).get("x-request-id", "")
    return given if _REQUEST_ID.match(given) else secrets.token_hex(8)


def _log_request(scope: Scope, status: int | None, seconds: float) -> None:
    route, client = scope.get("route"), scope.get("client")
    fact = {
        "request_id": scope["oxcart.request_id"],
        "method": scope["method"],
        "path": quote(scope["path"][:SHOWN_PATH_CHARS], errors="replace"),
        "route": getattr(route, "path", None),
        "status": status,
        "caller": scope.get("oxcart.caller"),
        "user": scope.get("oxcart.user"),
        "key": scope.get("oxcart.key"),
        "client": client[0] if client else None,
        "duration_ms": round(seconds * 1000, 1),
    }
    log.info("http.request", extra=fact)
    if AUDIT in scope:
        audit_log.info("audit.request_recorded", extra={**fact, **scope[AUDIT]})
