"""The status of a job, and the webhook by which a job's end is reported."""

from typing import Annotated

from fastapi import APIRouter, Path, Request
from starlette.responses import Response

from oxcart.exports.jobs import QUEUE as EXPORT_QUEUE
from oxcart.http.body import body_of, body_schema
from oxcart.http.dependencies import (
    CurrentCaller,
    CurrentJobs,
    CurrentSystem,
    KeyHolder,
    record_for_audit,
    user_of,
)
from oxcart.http.jobs import json_response
from oxcart.http.problems import Kind, ProblemError
from oxcart.http.schemas import JobAnswer, Success, WebhookEvent

router = APIRouter(prefix="/api/queues", tags=["queues"])


@router.get("/status/{jobId}", response_class=Response, responses={200: {"model": JobAnswer}})
async def job_status(
    caller: CurrentCaller, jobs: CurrentJobs, job_id: Annotated[str, Path(alias="jobId")]
) -> Response:
    """Show a job to its owner or to an operator, its secrets hidden."""
    if not caller.is_operator:
        user_of(caller)
    return json_response(await jobs.show(caller, job_id))


@router.post("/webhook", openapi_extra=body_schema(WebhookEvent))
async def report_event(
    request: Request,
    _caller: KeyHolder,
    system: CurrentSystem,
    event: Annotated[WebhookEvent, body_of(WebhookEvent)],
) -> Success:
    """Take in the end of a job: an export's row is set from it, an e-mail's needs nothing."""
    record_for_audit(request, job_id=event.job_id, reported=event.event, queue=event.queue)
    if event.queue == EXPORT_QUEUE:
        record = await system.exports.report_event(
            event.event, event.job_id, result=event.result, error=event.error
        )
        if record is None:
            raise ProblemError(Kind.NOT_FOUND, "there is no export with this job's id")
    return Success(success=True)
