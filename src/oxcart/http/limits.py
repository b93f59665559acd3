"""The limit on a request's body, kept before anything reads it.

A body whose ``Content-Length`` is over the limit is refused unread. A body without a length
(chunked) is counted as it is read, and refused at the byte that is one too many.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from oxcart.http.problems import Kind, ProblemError

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

_MAX_LENGTH_DIGITS = 19


class BodyLimit:
    """ASGI middleware that refuses bodies over ``max_body_bytes`` with 413."""

    def __init__(self, app: ASGIApp, *, max_body_bytes: int) -> None:
        self._app = app
        self._max_body_bytes = max_body_bytes
        self._detail = f"the body may hold at most {max_body_bytes} bytes"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the app with a receive that counts."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if _declared_length(scope) > self._max_body_bytes:
            response = self._error().problem.response(scope.get("oxcart.request_id"))
            await response(scope, receive, send)
            return
        await self._app(scope, self._counting(receive), send)

    def _counting(self, receive: Receive) -> Receive:
        received_bytes = 0

        async def counted() -> Message:
            nonlocal received_bytes
            message = await receive()
            received_bytes += len(message.get("body", b""))
            if received_bytes > self._max_body_bytes:
                raise self._error()
            return message

        return counted

    def _error(self) -> ProblemError:
        # What is left of the body is never read, so the connection cannot be used again.
        return ProblemError(Kind.TOO_LARGE, self._detail, connection="close")


def _declared_length(scope: Scope) -> int:
    """The declared length; 0 where there is none or the server will refuse it anyway."""
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit():
            return int(value[:_MAX_LENGTH_DIGITS])
    return 0
