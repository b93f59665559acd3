"""Cross-origin requests (CORS) of pages whose exact origin the settings name.

Such a page may send cookies and read answers; ``*`` is never sent. Answers say that they vary by
``Origin``, so that no cache hands one page's answer to another.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from starlette.datastructures import Headers, MutableHeaders

if TYPE_CHECKING:
    from starlette.types import Scope

_METHODS = "GET, HEAD, POST, PUT, PATCH, DELETE"
_REQUEST_HEADERS = (
    "Authorization, Content-Type, If-None-Match, Idempotency-Key, Last-Event-ID, Range, "
    "X-Request-Id"
)
_SHOWN_HEADERS = (
    "Content-Disposition, Content-Range, ETag, Idempotent-Replayed, Location, Retry-After, "
    "X-Request-Id"
)
_PREFLIGHT_SECONDS = 600


class Cors:
    """Answers preflight requests and marks responses.

    Args:
        origins: the exact origins of the pages, as browsers send them.
    """

    def __init__(self, origins: Iterable[str] = ()) -> None:
        self._origins = frozenset(origins)

    def preflight(self, scope: Scope) -> Mapping[str, str] | None:
        """The headers of the answer to a preflight request of an allowed page, else None."""
        if scope["method"] != "OPTIONS":
            return None
        headers = Headers(scope=scope)
        if "access-control-request-method" not in headers or self._origin(headers) is None:
            return None
        return {
            "access-control-allow-methods": _METHODS,
            "access-control-allow-headers": _REQUEST_HEADERS,
            "access-control-max-age": str(_PREFLIGHT_SECONDS),
        }

    def mark(self, scope: Scope, response: MutableHeaders) -> None:
        """Let an allowed page read a response."""
        if not self._origins:
            return
        response.add_vary_header("Origin")
        origin = self._origin(Headers(scope=scope))
        if origin is not None:
            response["access-control-allow-origin"] = origin
            response["access-control-allow-credentials"] = "true"
            response["access-control-expose-headers"] = _SHOWN_HEADERS

    def _origin(self, headers: Headers) -> str | None:
        given = headers.getlist("origin")
        return given[0] if len(given) == 1 and given[0] in self._origins else None
