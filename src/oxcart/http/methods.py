"""The ``Allow`` header of a refused method.

A path may have a route for each method, and the framework names only those of the first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException

from oxcart.http.problems import answer_error

if TYPE_CHECKING:
    from fastapi import APIRouter
    from starlette.requests import Request
    from starlette.responses import Response

METHOD_NOT_ALLOWED = 405


class MethodTable:
    """The methods of every path."""

    def __init__(self) -> None:
        self._routes: list[APIRoute] = []

    def add(self, router: APIRouter) -> None:
        """Note the routes of a router, which is included without a prefix."""
        self._routes.extend(route for route in router.routes if isinstance(route, APIRoute))

    async def answer(self, request: Request, error: Exception) -> Response:
        """Answer an error of the framework; a refused method with all that the path has."""
        if isinstance(error, HTTPException) and error.status_code == METHOD_NOT_ALLOWED:
            methods = self._methods_of(request.scope["path"])
            if methods:
                allow = {"allow": ", ".join(sorted(methods))}
                error = HTTPException(error.status_code, error.detail, allow)
        return await answer_error(request, error)

    def _methods_of(self, path: str) -> set[str]:
        found: set[str] = set()
        for route in self._routes:
            if route.path_regex.match(path):
                found |= route.methods or set()
        return found
