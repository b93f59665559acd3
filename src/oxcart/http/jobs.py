"""Finding a job for a caller and showing it without its secrets."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from starlette.responses import Response

from oxcart.errors import StoreUnavailable
from oxcart.exports.jobs import QUEUE as EXPORT_QUEUE
from oxcart.http.export_view import FOR_OPERATORS, FOR_USERS
from oxcart.http.live.following import not_found
from oxcart.http.live.job_view import PLAIN, JobView, Presentation, read_job
from oxcart.mail.breaker import CircuitBreaker
from oxcart.mail.jobs import QUEUE as EMAIL_QUEUE

if TYPE_CHECKING:
    from oxcart import App, Job, Queue
    from oxcart.http.auth import Caller
    from oxcart.http.live.access import Access

MAX_JOB_ID_CHARS = 200
SPARED = timedelta(seconds=2)
"""How long nobody waits for Redis after somebody waited in vain."""


class Jobs:
    """The jobs of the built-in queues, as callers may see them.

    Args:
        app: where the queues and the jobs' definitions are.
        breaker: keeps requests from waiting for a dead server one after the other.
    """

    def __init__(self, app: App, breaker: CircuitBreaker | None = None) -> None:
        self._app = app
        self._breaker = breaker or CircuitBreaker(SPARED)

    async def show(self, access: Access, job_id: str) -> JobView:
        """Find a job, in the e-mail queue and then in the export queue, and show it.

        Raises:
            ProblemError: 404, also when the job exists and is someone else's; 403, a ticket is for
                another job.
            StoreUnavailable: Redis does not answer.
        """
        queue = await self.find_queue(access, job_id)
        presentation = presentation_of(queue, access)
        view = await read_job(self._app, queue, job_id, presentation)
        if view is None:
            raise not_found()
        return view

    async def find_queue(self, access: Access, job_id: str) -> Queue:
        """Find the queue of a job that a caller may see; raises as ``show``."""
        if len(job_id) > MAX_JOB_ID_CHARS or not job_id.isprintable():
            raise not_found()
        if not self._breaker.allows():
            raise StoreUnavailable("not asked: the server did not answer a moment ago")
        try:
            queue = await self._find(access, job_id)
        except StoreUnavailable:
            self._breaker.failed()
            raise
        self._breaker.succeeded()
        if queue is None:
            raise not_found()
        access.check(queue.name, job_id)
        return queue

    async def _find(self, access: Access, job_id: str) -> Queue | None:
        ticket = access.ticket
        for name in (EMAIL_QUEUE, EXPORT_QUEUE) if ticket is None else (ticket.queue,):
            queue = self._app.queue(name)
            job = await queue.get_job(job_id)
            if job is not None and may_see(access.caller, job):
                return queue
        return None


def presentation_of(queue: Queue, access: Access) -> Presentation:
    """How the jobs of a built-in queue are shown to a caller."""
    if queue.name != EXPORT_QUEUE:
        return PLAIN
    presentation = FOR_OPERATORS if access.caller.is_operator else FOR_USERS
    # What an export returns is the address of its file, which may be a link that opens it.
    return replace(presentation, result=lambda _: None) if access.ticket else presentation


def may_see(caller: Caller, job: Job[Any]) -> bool:
    """Whether a job is shown to a caller: e-mail jobs only to operators, exports to their owner."""
    if caller.is_operator:
        return True
    if job.queue != EXPORT_QUEUE or caller.user is None or not isinstance(job.data, dict):
        return False
    return job.data.get("userId") == caller.user.id


def json_response(document: dict[str, Any]) -> Response:
    """A JSON answer that holds whatever another program put into Redis.

    Escaped to ASCII: a payload may hold lone surrogates, which UTF-8 cannot write.
    """
    return Response(json.dumps(document).encode("ascii"), media_type="application/json")
