"""Finding a job for a caller and showing it without its secrets."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from starlette.responses import Response

from oxcart.errors import StoreUnavailable
from oxcart.exports.jobs import QUEUE as EXPORT_QUEUE
from oxcart.http.problems import Kind, ProblemError
from oxcart.mail.breaker import CircuitBreaker
from oxcart.mail.jobs import QUEUE as EMAIL_QUEUE
from oxcart.observe.redaction import Redactor

if TYPE_CHECKING:
    from oxcart import App, Job, JobState
    from oxcart.http.auth import Caller

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

    async def show(self, caller: Caller, job_id: str) -> dict[str, Any]:
        """Find a job, in the e-mail queue and then in the export queue, and show it.

        Raises:
            ProblemError: 404, also when the job exists and is someone else's.
            StoreUnavailable: Redis does not answer.
        """
        if len(job_id) > MAX_JOB_ID_CHARS or not job_id.isprintable():
            raise _not_found()
        if not self._breaker.allows():
            raise StoreUnavailable("not asked: the server did not answer a moment ago")
        try:
            job, state = await self._find(caller, job_id)
        except StoreUnavailable:
            self._breaker.failed()
            raise
        self._breaker.succeeded()
        if job is None or state == "unknown":  # unknown: removed between the two reads
            raise _not_found()
        return self._document(job, state)

    async def _find(self, caller: Caller, job_id: str) -> tuple[Job[Any] | None, JobState | None]:
        for name in (EMAIL_QUEUE, EXPORT_QUEUE):
            queue = self._app.queue(name)
            job = await queue.get_job(job_id)
            if job is not None and may_see(caller, job):
                return job, await queue.get_state(job_id)
        return None, None

    def _document(self, job: Job[Any], state: JobState | None) -> dict[str, Any]:
        definition = self._app.registry.get((job.queue, job.name))
        redactor = Redactor(job.data, definition.secrets if definition else ())
        optional = {
            "processedOn": job.processed_at_ms,
            "finishedOn": job.finished_at_ms,
            "failedReason": redactor.shown(job.failed_reason),
            "returnvalue": redactor.shown(job.return_value),
            "delayReason": None if state == "active" else redactor.shown(job.delay_reason),
        }
        return {
            "id": job.id,
            "state": str(state),
            "type": redactor.shown_text(job.name),
            "createdAt": job.created_at_ms,
            **{name: value for name, value in optional.items() if value is not None},
            "attemptsMade": job.attempts_made,
            "progress": redactor.shown(job.progress),
            "data": redactor.shown(job.data),
        }


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


def _not_found() -> ProblemError:
    return ProblemError(Kind.NOT_FOUND, "no such job")
