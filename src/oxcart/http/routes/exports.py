"""Asking for exports, listing them, downloading their files."""

import re
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Request
from starlette.responses import Response

from oxcart.exports.errors import LinkExpired
from oxcart.exports.jobs import QUEUE as EXPORT_QUEUE
from oxcart.exports.service import MAX_PAGE, ExportFile, ExportService
from oxcart.http.auth import Role
from oxcart.http.body import body_of, body_schema
from oxcart.http.dependencies import (
    CurrentAccess,
    CurrentLive,
    CurrentSystem,
    CurrentTickets,
    CurrentUser,
    authenticate,
    user_of,
)
from oxcart.http.downloads import download
from oxcart.http.export_view import ExportView, read_export, show_export
from oxcart.http.live.access import Access
from oxcart.http.live.following import Follower
from oxcart.http.live.updates import LiveUpdates
from oxcart.http.problems import Kind, ProblemError
from oxcart.http.schemas import (
    CreatedExportAnswer,
    ExportAnswer,
    ExportQuery,
    ExportRequest,
    ExportsAnswer,
    ExportsQuery,
    LinkQuery,
    ShownExport,
    created_export,
    shown_ticket,
)
from oxcart.system import System

WAITING = (
    "The job queue does not answer at the moment. The export was taken in and will start by itself "
    "as soon as the queue is back."
)
_EXPORT_ID = re.compile(r"[A-Za-z0-9_-]{1,128}\Z")

_IDEMPOTENCY_KEY = re.compile(r'"(?P<quoted>[!#-\[\]-~]{1,255})"|(?P<bare>[!#-\[\]-~]{1,255})')
IDEMPOTENCY_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "Makes a repeated request harmless: two clicks are one export.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 257},
}

router = APIRouter(prefix="/api/exports", tags=["exports"])


def _export_id(export_id: Annotated[str, Path(alias="exportId")]) -> str:
    if not _EXPORT_ID.match(export_id):
        raise ProblemError(Kind.NOT_FOUND, "no such export")
    return export_id


ExportId = Annotated[str, Depends(_export_id)]


@router.post(
    "",
    response_model_exclude_unset=True,
    openapi_extra={**body_schema(ExportRequest), "parameters": [IDEMPOTENCY_KEY]},
)
async def create_export(
    request: Request,
    response: Response,
    user: CurrentUser,
    system: CurrentSystem,
    tickets: CurrentTickets,
    body: Annotated[ExportRequest, body_of(ExportRequest)],
) -> CreatedExportAnswer:
    """Ask for an export of the data that the user may see.

    A request that is repeated with its ``Idempotency-Key`` within 24 hours makes no second export.
    """
    requested = await system.exports.request_export(
        user, body.type, body.filters, idempotency_key=_idempotency_key(request)
    )
    if requested.is_repeated:
        response.headers["idempotent-replayed"] = "true"
    shown = created_export(requested.record, requested.job_id)
    export_id = requested.record.id
    issued = tickets.issue(user.id, queue=EXPORT_QUEUE, job_id=export_id)
    ticket = shown_ticket(issued, f"/api/exports/{export_id}")
    if requested.job_id is None:
        return CreatedExportAnswer(success=True, export_job=shown, ticket=ticket, message=WAITING)
    return CreatedExportAnswer(success=True, export_job=shown, ticket=ticket)


@router.get("", response_model_exclude_unset=True)
async def list_exports(
    user: CurrentUser, system: CurrentSystem, query: Annotated[ExportsQuery, Query()]
) -> ExportsAnswer:
    """List the user's exports, newest first, 50 a page."""
    page = await system.exports.list_exports(
        user.id, status=query.status, cursor=query.cursor, limit=MAX_PAGE
    )
    exports = [show_export(system.exports, record) for record in page.records]
    return ExportsAnswer(success=True, exports=exports, next_cursor=page.next_cursor)


@router.get("/{exportId}", response_model_exclude_unset=True)
async def get_export(
    request: Request,
    access: CurrentAccess,
    export_id: ExportId,
    system: CurrentSystem,
    live: CurrentLive,
    query: Annotated[ExportQuery, Query()],
) -> ExportAnswer:
    """Show one export to its owner or to an operator.

    With `wait`, answer when the export is COMPLETED or FAILED, or has another status than `status`.
    """
    follower = export_follower(access, system, live, export_id)
    if not query.wait:
        view = await follower.read()
    else:
        view = await live.wait(
            request,
            follower,
            caller=access.counted_as,
            known_state=query.status,
            seconds=query.wait,
        )
    return ExportAnswer(success=True, export=ShownExport.model_validate(view.document))


def export_follower(
    access: Access, system: System, live: LiveUpdates, export_id: str
) -> Follower[ExportView]:
    """Follow an export that the caller may see.

    Raises:
        ProblemError: 403, a ticket is for another job.
    """
    access.check(EXPORT_QUEUE, export_id)
    owner_id = None if access.caller.is_operator else user_of(access.caller).id
    read = partial(
        read_export, system.exports, export_id, owner_id, with_link=access.ticket is None
    )
    return live.of_other(system.app.queue(EXPORT_QUEUE), export_id, read)


@router.head("/{exportId}/file", include_in_schema=False)
@router.get("/{exportId}/file", response_class=Response)
async def download_export(
    request: Request,
    export_id: ExportId,
    system: CurrentSystem,
    link: Annotated[LinkQuery, Query()],
) -> Response:
    """Download a finished export: by its signed link, or as the owner.

    The link is the permission, so a request that carries one needs no login. But it does not open
    for a user who is logged in and is not the owner; and the owner needs no link.
    """
    return await download(request, await _file(request, export_id, system.exports, link))


async def _file(
    request: Request, export_id: str, exports: ExportService, link: LinkQuery
) -> ExportFile:
    if link.is_given:
        return await _linked_file(request, export_id, exports, link)
    caller = await authenticate(request)
    if caller.is_operator and caller.user is None:
        return await exports.open_any_file(export_id)
    return await exports.open_file(export_id, user_id=user_of(caller).id)


async def _linked_file(
    request: Request, export_id: str, exports: ExportService, link: LinkQuery
) -> ExportFile:
    user_id = await _logged_in_user(request)
    try:
        file = await exports.open_file(export_id, expires=link.expires, signature=link.signature)
    except LinkExpired:
        if user_id is None:
            raise
        return await exports.open_file(export_id, user_id=user_id)
    if user_id is not None:
        await exports.get_export(export_id, user_id)  # raises unless it is the user's own
    return file


async def _logged_in_user(request: Request) -> str | None:
    """The user whose session or key came with a link; None without a valid one."""
    try:
        caller = await authenticate(request)
    except ProblemError:
        return None  # the link is enough
    is_user = caller.role in (Role.USER, Role.SERVICE) and caller.user is not None
    return user_of(caller).id if is_user else None


def _idempotency_key(request: Request) -> str | None:
    """The request's idempotency key: a quoted string, as the draft has it, or the bare text."""
    given = request.headers.getlist("idempotency-key")
    if not given:
        return None
    match = _IDEMPOTENCY_KEY.fullmatch(given[0].strip())
    if len(given) > 1 or match is None:
        detail = "send one Idempotency-Key of 1 to 255 letters, digits and signs"
        raise ProblemError(Kind.BAD_REQUEST, detail)
    return match["quoted"] or match["bare"]
