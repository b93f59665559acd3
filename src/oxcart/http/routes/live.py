"""Following a job or an export: events as they happen, and tickets for browsers."""

from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Path, Query, Request
from starlette.responses import Response

from oxcart.exports.jobs import QUEUE as EXPORT_QUEUE
from oxcart.http.dependencies import (
    CurrentAccess,
    CurrentCaller,
    CurrentJobs,
    CurrentLive,
    CurrentSystem,
    CurrentTickets,
    user_of,
)
from oxcart.http.jobs import presentation_of
from oxcart.http.live.access import Access
from oxcart.http.live.sse import MEDIA_TYPE
from oxcart.http.routes.exports import ExportId, export_follower
from oxcart.http.schemas import TicketAnswer, TicketQuery, shown_ticket

STREAM: dict[int | str, dict[str, Any]] = {
    200: {"description": "Events until the end", "content": {MEDIA_TYPE: {}}},
    204: {"description": "`Last-Event-ID` is the id of `end`: nothing follows"},
}

router = APIRouter(prefix="/api")

JobId = Annotated[str, Path(alias="jobId")]


@router.get(
    "/queues/status/{jobId}/events", response_class=Response, responses=STREAM, tags=["queues"]
)
async def job_events(
    request: Request,
    access: CurrentAccess,
    jobs: CurrentJobs,
    live: CurrentLive,
    job_id: JobId,
    _query: Annotated[TicketQuery, Query()],
) -> Response:
    """Send a job's events as they happen (server-sent events), to its owner or an operator."""
    queue = await jobs.find_queue(access, job_id)
    follower = live.of_job(queue, job_id, presentation_of(queue, access))
    return live.stream(request, follower, caller=access.counted_as, longest=access.seconds_left)


@router.post("/queues/status/{jobId}/ticket", tags=["queues"])
async def job_ticket(
    caller: CurrentCaller, jobs: CurrentJobs, tickets: CurrentTickets, job_id: JobId
) -> TicketAnswer:
    """Give a ticket by which a browser may follow this job, and no other, for a short time."""
    user_id = None if caller.is_operator else user_of(caller).id
    queue = await jobs.find_queue(Access(caller=caller), job_id)
    ticket = tickets.issue(user_id, queue=queue.name, job_id=job_id)
    return TicketAnswer(ticket=shown_ticket(ticket, f"/api/queues/status/{quote(job_id, safe='')}"))


@router.get(
    "/exports/{exportId}/events", response_class=Response, responses=STREAM, tags=["exports"]
)
async def export_events(
    request: Request,
    access: CurrentAccess,
    system: CurrentSystem,
    live: CurrentLive,
    export_id: ExportId,
    _query: Annotated[TicketQuery, Query()],
) -> Response:
    """Send an export's events as they happen (server-sent events), to its owner or an operator."""
    follower = export_follower(access, system, live, export_id)
    await follower.read()
    return live.stream(request, follower, caller=access.counted_as, longest=access.seconds_left)


@router.post("/exports/{exportId}/ticket", tags=["exports"])
async def export_ticket(
    caller: CurrentCaller, system: CurrentSystem, tickets: CurrentTickets, export_id: ExportId
) -> TicketAnswer:
    """Give a ticket by which a browser may follow this export, and no other, for a short time."""
    owner_id = None if caller.is_operator else user_of(caller).id
    record = await system.exports.get_export(export_id, owner_id)
    ticket = tickets.issue(owner_id, queue=EXPORT_QUEUE, job_id=record.id)
    return TicketAnswer(ticket=shown_ticket(ticket, f"/api/exports/{record.id}"))
