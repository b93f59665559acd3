"""The status of a job, and the webhook by which a job's end is reported."""

from typing import Annotated

from fastapi import APIRouter, Path, Query, Request
from starlette.responses import Response

from oxcart.exports.jobs import QUEUE as EXPORT_QUEUE
from oxcart.http.body import body_of, body_schema
from oxcart.http.dependencies import (
    CurrentAccess,
    CurrentIncoming,
    CurrentJobs,
    CurrentLive,
    CurrentQueueStatus,
    CurrentReporter,
    CurrentSystem,
    StatusReader,
    record_for_audit,
)
from oxcart.http.jobs import json_response, presentation_of
from oxcart.http.problems import Kind, ProblemError
from oxcart.http.schemas import JobAnswer, JobQuery, QueuesAnswer, Success, WebhookEvent
from oxcart.system import System

router = APIRouter(prefix="/api/queues", tags=["queues"])


@router.get("")
async def list_queues(_reader: StatusReader, status: CurrentQueueStatus) -> QueuesAnswer:
    """Show every queue of the application: counts, workers, rates, and what is wrong.

    For operators; in development also for programs on this machine.
    """
    return QueuesAnswer.of(await status.get())


@router.get("/status/{jobId}", response_class=Response, responses={200: {"model": JobAnswer}})
async def job_status(
    request: Request,
    access: CurrentAccess,
    jobs: CurrentJobs,
    live: CurrentLive,
    job_id: Annotated[str, Path(alias="jobId")],
    query: Annotated[JobQuery, Query()],
) -> Response:
    """Show a job to its owner or to an operator, its secrets hidden.

    With `wait`, answer when the job is finished or in another state than `state`.
    """
    if not query.wait:
        return json_response((await jobs.show(access, job_id)).document)
    queue = await jobs.find_queue(access, job_id)
    view = await live.wait(
        request,
        live.of_job(queue, job_id, presentation_of(queue, access)),
        caller=access.counted_as,
        known_state=query.state,
        seconds=query.wait,
    )
    return json_response(view.document)


@router.post("/webhook", openapi_extra=body_schema(WebhookEvent))
async def report_event(
    request: Request,
    reporter: CurrentReporter,
    incoming: CurrentIncoming,
    system: CurrentSystem,
    event: Annotated[WebhookEvent, body_of(WebhookEvent)],
) -> Success:
    """Take in the end of a job: an export's row is set from it, an e-mail's needs nothing.

    Needs an operator's or a service's key, or a signature by the Standard Webhooks specification.
    A signed message that was taken in before changes nothing.
    """
    record_for_audit(
        request,
        job_id=event.job_id,
        reported=event.event,
        queue=event.queue,
        message_id=reporter.message_id,
    )
    incoming.check(event)
    async with incoming.once(reporter) as is_new:
        if is_new:
            await _take_in(system, event)
    return Success(success=True)


async def _take_in(system: System, event: WebhookEvent) -> None:
    if event.queue == EXPORT_QUEUE:
        record = await system.exports.report_event(
            event.event, event.job_id, result=event.result, error=event.error
        )
        if record is None:
            raise ProblemError(Kind.NOT_FOUND, "there is no export with this job's id")
