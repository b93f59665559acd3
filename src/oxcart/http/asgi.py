"""The API as an ASGI application, for hosts that start it by themselves.

``oxcart.http.asgi:app`` reads the settings from the environment and opens the system at the host's
start-up call, or where there is none at the first request. It looks after no exports that wait for
the queue: ``oxcart api`` and bursts do.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

from oxcart import Timeouts
from oxcart._settings.checks import PROGRAMS, examine, refuse_problems
from oxcart.http.app import create_app
from oxcart.observe.sentry import flush_reports
from oxcart.observe.start import observe_jobs, start_observing
from oxcart.system import open_system

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fastapi import FastAPI
    from starlette.types import ASGIApp, Receive, Scope, Send

log = logging.getLogger("oxcart.http")

TIMEOUTS = Timeouts(command="2s")
"""Shorter than a worker's: somebody's browser is waiting."""


class Api:
    """The API, opened when it is first needed.

    Args:
        environ: variables to read instead of ``os.environ``.
    """

    def __init__(self, environ: Mapping[str, str] | None = None) -> None:
        self._environ = environ
        self._opening = asyncio.Lock()
        self._stack: AsyncExitStack | None = None
        self._app: FastAPI | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request, or follow the host's start and end."""
        if scope["type"] == "lifespan":
            await self._follow_host(receive, send)
            return
        app = await self.open()
        await app(scope, receive, send)

    async def open(self) -> ASGIApp:
        """Open the system, once.

        Raises:
            ConfigError: naming every setting that is wrong or missing.
            DatabaseError: the database cannot be used.
        """
        async with self._opening:
            if self._app is None:
                findings = examine(PROGRAMS["api"], self._environ)
                refuse_problems(findings)
                start_observing(findings.settings)
                stack = AsyncExitStack()
                system = await stack.enter_async_context(
                    open_system(findings.settings, timeouts=TIMEOUTS)
                )
                observe_jobs(system.app)  # bursts run them here
                self._stack, self._app = stack, create_app(system)
            return self._app

    async def close(self) -> None:
        """Close the system; another request opens it anew."""
        if self._app is not None:
            await self._app.state.live.aclose()
        stack, self._stack, self._app = self._stack, None, None
        if stack is not None:
            await stack.aclose()
        flush_reports()

    async def _follow_host(self, receive: Receive, send: Send) -> None:
        await receive()
        try:
            await self.open()
        # Whatever it is, the host must be told, or it waits.
        except Exception as error:
            log.exception("api.not_opened")
            await send({"type": "lifespan.startup.failed", "message": str(error)})
            return
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self.close()
        await send({"type": "lifespan.shutdown.complete"})


app = Api()
