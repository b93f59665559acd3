"""The FastAPI application around one open system."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware

from oxcart._settings.default_user import why_no_default_user
from oxcart.database.api_keys import ApiKeys
from oxcart.database.site_sessions import StoredSessions
from oxcart.database.users import DEFAULT_USER_ID, Users
from oxcart.errors import OxcartError
from oxcart.exports.links import old_signing_secrets, signing_secret
from oxcart.http.auth import Authenticator
from oxcart.http.bursts import Bursts
from oxcart.http.cors import Cors
from oxcart.http.edge import Edge
from oxcart.http.guesses import Guesses
from oxcart.http.health import HealthProbe
from oxcart.http.incoming import Incoming
from oxcart.http.jobs import Jobs
from oxcart.http.limits import BodyLimit
from oxcart.http.live.access import Tickets
from oxcart.http.live.limits import WaitingClients
from oxcart.http.live.tickets import TicketSigner
from oxcart.http.live.updates import LiveUpdates
from oxcart.http.methods import MethodTable
from oxcart.http.metrics import MetricsProbe
from oxcart.http.problems import ProblemError, answer_error
from oxcart.http.proxies import TrustedProxies
from oxcart.http.queue_status import fresh_status
from oxcart.http.reference import complete_openapi
from oxcart.http.routes import exports, health, live, metrics, queues, reference, webhooks, worker

if TYPE_CHECKING:
    from oxcart.http.hooks import Hook
    from oxcart.system import System

log = logging.getLogger("oxcart.http")

ANSWERED = (ProblemError, OxcartError, HTTPException, RequestValidationError, ValidationError)
"""Errors that become a problem inside the application; the edge answers every other one."""


class _Api(FastAPI):
    """FastAPI whose OpenAPI document says how to authenticate and what refusals look like."""

    def openapi(self) -> dict[str, Any]:
        if self.openapi_schema is None:
            self.openapi_schema = complete_openapi(super().openapi())
        return self.openapi_schema


def create_app(system: System, *, authenticate: Hook | None = None) -> FastAPI:
    """Build the HTTP application.

    Args:
        system: the open system that the routes use; the caller opens and closes it.
        authenticate: the application's own method to find the user of a request, asked before all
            others: takes the request and returns an ``Identity``, or None to leave the request to
            the other methods. Default: the one that ``OXCART_AUTH_HOOK`` names.

    Raises:
        ConfigError: production without an API key, or with one that is too short.
    """
    methods = MethodTable()
    app = _Api(
        title="oxcart",
        summary="Background jobs: exports, their downloads, job status, health.",
        docs_url=None,  # FastAPI's pages load scripts from a CDN; ours is routes/reference.py
        redoc_url=None,
        redirect_slashes=False,
        middleware=[
            Middleware(
                Edge,
                proxies=TrustedProxies(system.settings.trusted_proxies),
                cors=Cors(system.settings.cors_origins),
                is_https=system.settings.base_url.startswith("https://"),
            ),
            Middleware(BodyLimit, max_body_bytes=system.settings.max_body_bytes),
        ],
        exception_handlers={**dict.fromkeys(ANSWERED, answer_error), HTTPException: methods.answer},
    )
    if why_no_default_user(system.settings) is None:
        log.warning("api.default_user_enabled", extra={"user_id": DEFAULT_USER_ID})
    app.state.system = system
    users = Users(system.database)
    app.state.authenticator = Authenticator(
        system.settings,
        users,
        sessions=StoredSessions(system.database),
        keys=ApiKeys(system.database),
        hook=authenticate,
    )
    app.state.guesses = Guesses()
    app.state.health = HealthProbe(system)
    app.state.incoming = Incoming(system.settings, system.database)
    app.state.jobs = Jobs(system.app)
    app.state.bursts = Bursts(system)
    app.state.metrics = MetricsProbe(system)
    names = (*system.settings.queue_places, *system.settings.metrics_queues)
    app.state.queue_status = fresh_status(system.app, names)
    clients = WaitingClients(
        most=system.settings.max_streams, most_of_one=system.settings.max_streams_per_user
    )
    app.state.live = LiveUpdates(system.app, clients)
    signer = TicketSigner(
        [signing_secret(system.settings), *old_signing_secrets(system.settings)],
        lifetime=timedelta(seconds=system.settings.ticket_seconds),
    )
    app.state.tickets = Tickets(signer, users)
    for routes in (exports, queues, live, webhooks, worker, health, metrics, reference):
        app.include_router(routes.router)
        methods.add(routes.router)
    return app
