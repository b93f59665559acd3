"""The API of an application's own queues, to be mounted in its ASGI application."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from fastapi import FastAPI, Path, Query, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.responses import Response

from oxcart import App, Job, Queue
from oxcart.errors import ConfigError, OxcartError
from oxcart.http.edge import Edge
from oxcart.http.jobs import MAX_JOB_ID_CHARS, json_response
from oxcart.http.live.access import TICKET_PARAMETER
from oxcart.http.live.following import not_found
from oxcart.http.live.limits import WaitingClients
from oxcart.http.live.tickets import TicketSigner
from oxcart.http.live.updates import LiveUpdates
from oxcart.http.problems import Kind, ProblemError, answer_error
from oxcart.http.queue_status import fresh_status, queue_names
from oxcart.http.schemas import (
    JobAnswer,
    JobQuery,
    QueuesAnswer,
    TicketAnswer,
    TicketQuery,
    shown_ticket,
)

__all__ = ["Authorize", "queue_api"]

MIN_SECRET_CHARS = 32

Authorize = Callable[[Request, Job[Any] | None], Awaitable[str | None]]
"""Decides about a request: gets the job that it wants to follow, or ``None`` for the status of all
queues; returns the caller's name, for which streams are counted, or ``None`` to refuse."""

QueueName = Annotated[str, Path(alias="queue", max_length=200)]
JobId = Annotated[str, Path(alias="jobId", max_length=MAX_JOB_ID_CHARS)]


def queue_api(
    app: App,
    *,
    authorize: Authorize,
    queues: Iterable[str] = (),
    ticket_secrets: Sequence[str] = (),
    ticket_lifetime: timedelta = timedelta(minutes=15),
    max_streams: int = 1_000,
    max_streams_per_caller: int = 20,
) -> FastAPI:
    """Make an ASGI application that shows an application's queues and follows its jobs.

    Mount it: ``site.mount("/jobs", queue_api(app, authorize=authorize))``. It has ``GET /queues``,
    and below ``/queues/{queue}/jobs/{jobId}`` the job itself, ``/events`` and ``POST /ticket``.
    Before the server stops, ``await api.state.live.aclose()`` ends the streams.

    Args:
        app: whose queues; the caller opens and closes it.
        authorize: decides about each request without a ticket.
        queues: queues beside those of the declared jobs.
        ticket_secrets: sign tickets; the first makes them, all are accepted. Without one there are
            no tickets.
        ticket_lifetime: how long a ticket is good for.
        max_streams: how many streams and long polls may be open in this process.
        max_streams_per_caller: how many of them may be one caller's.

    Raises:
        ConfigError: a secret is shorter than 32 characters.
    """
    if any(len(secret) < MIN_SECRET_CHARS for secret in ticket_secrets):
        raise ConfigError(
            f"a ticket secret is shorter than {MIN_SECRET_CHARS} characters; use random ones"
        )
    api = FastAPI(
        title="Queues",
        docs_url=None,
        redoc_url=None,
        middleware=[Middleware(Edge)],
        exception_handlers=dict.fromkeys(
            (ProblemError, OxcartError, HTTPException, RequestValidationError), answer_error
        ),
    )
    clients = WaitingClients(most=max_streams, most_of_one=max_streams_per_caller)
    api.state.live = live = LiveUpdates(app, clients)
    secrets = [secret.encode() for secret in ticket_secrets]
    signer = TicketSigner(secrets, lifetime=ticket_lifetime) if secrets else None
    routes = _Routes(app, authorize, live, signer, queue_names(app, queues))
    job = "/queues/{queue}/jobs/{jobId}"
    api.get("/queues")(routes.list_queues)
    api.get(job, response_class=Response, responses={200: {"model": JobAnswer}})(routes.show_job)
    api.get(f"{job}/events", response_class=Response)(routes.send_events)
    if signer is not None:
        api.post(f"{job}/ticket")(routes.issue_ticket)
    return api


class _Routes:
    """The routes, and what they share."""

    def __init__(
        self,
        app: App,
        authorize: Authorize,
        live: LiveUpdates,
        signer: TicketSigner | None,
        names: Sequence[str],
    ) -> None:
        self._app = app
        self._authorize = authorize
        self._live = live
        self._signer = signer
        self._names = names
        self._status = fresh_status(app, names)

    async def list_queues(self, request: Request) -> QueuesAnswer:
        """Show every queue of the application: counts, workers, rates, and what is wrong."""
        if await self._authorize(request, None) is None:
            raise ProblemError(Kind.FORBIDDEN, "the caller may not see the queues")
        return QueuesAnswer.of(await self._status.get())

    async def show_job(
        self,
        request: Request,
        queue: QueueName,
        job_id: JobId,
        query: Annotated[JobQuery, Query()],
    ) -> Response:
        """Show a job, its secrets hidden; with `wait`, when it is finished or has changed."""
        found, caller, _ = await self._find(request, queue, job_id)
        follower = self._live.of_job(found, job_id)
        if not query.wait:
            return json_response((await follower.read()).document)
        view = await self._live.wait(
            request, follower, caller=caller, known_state=query.state, seconds=query.wait
        )
        return json_response(view.document)

    async def send_events(
        self,
        request: Request,
        queue: QueueName,
        job_id: JobId,
        _query: Annotated[TicketQuery, Query()],
    ) -> Response:
        """Send a job's events as they happen (server-sent events)."""
        found, caller, seconds_left = await self._find(request, queue, job_id)
        follower = self._live.of_job(found, job_id)
        return self._live.stream(request, follower, caller=caller, longest=seconds_left)

    async def issue_ticket(self, request: Request, queue: QueueName, job_id: JobId) -> TicketAnswer:
        """Give a ticket by which a browser may follow this job, and no other, for a short time."""
        assert self._signer is not None  # else the route does not exist  # noqa: S101
        _, caller, _ = await self._find(request, queue, job_id)
        token, ticket = self._signer.issue(queue=queue, job_id=job_id, user_id=caller)
        path = request.url.path.removesuffix("/ticket")
        expires_at = datetime.fromtimestamp(ticket.expires_at, UTC)
        return TicketAnswer(ticket=shown_ticket((token, expires_at), path))

    async def _find(
        self, request: Request, name: str, job_id: str
    ) -> tuple[Queue, str, float | None]:
        """Find a job's queue, the caller, and how long a ticket permits to follow the job."""
        job = await self._app.queue(name).get_job(job_id) if name in self._names else None
        if job is None:
            raise not_found()
        text = request.query_params.get(TICKET_PARAMETER)
        if text is not None and self._signer is not None and request.method == "GET":
            ticket = self._signer.read(text)
            if (ticket.queue, ticket.job_id) != (name, job_id):
                raise ProblemError(Kind.FORBIDDEN, "the ticket is for another job")
            return self._app.queue(name), ticket.user_id or "", self._signer.seconds_left(ticket)
        caller = await self._authorize(request, job)
        if caller is None:
            raise not_found()
        return self._app.queue(name), caller, None
