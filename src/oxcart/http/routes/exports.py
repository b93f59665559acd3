"""Asking for exports, listing them, downloading their files."""

import re
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Request
from starlette.responses import Response

from oxcart.exports.service import MAX_PAGE
from oxcart.http.body import body_of, body_schema
from oxcart.http.dependencies import (
    CurrentCaller,
    CurrentSystem,
    CurrentUser,
    authenticate,
    user_of,
)
from oxcart.http.downloads import download
from oxcart.http.problems import Kind, ProblemError
from oxcart.http.schemas import (
    CreatedExportAnswer,
    ExportAnswer,
    ExportRequest,
    ExportsAnswer,
    ExportsQuery,
    LinkQuery,
    created_export,
    shown_export,
)

WAITING = (
    "The job queue does not answer at the moment. The export was taken in and will start by itself "
    "as soon as the queue is back."
)
_EXPORT_ID = re.compile(r"[A-Za-z0-9_-]{1,128}\Z")

router = APIRouter(prefix="/api/exports", tags=["exports"])


def _export_id(export_id: Annotated[str, Path(alias="exportId")]) -> str:
    if not _EXPORT_ID.match(export_id):
        raise ProblemError(Kind.NOT_FOUND, "no such export")
    return export_id


ExportId = Annotated[str, Depends(_export_id)]


@router.post("", response_model_exclude_unset=True, openapi_extra=body_schema(ExportRequest))
async def create_export(
    user: CurrentUser,
    system: CurrentSystem,
    body: Annotated[ExportRequest, body_of(ExportRequest)],
) -> CreatedExportAnswer:
    """Ask for an export of the data that the user may see."""
    requested = await system.exports.request_export(user, body.type, body.filters)
    shown = created_export(requested.record, requested.job_id)
    if requested.job_id is None:
        return CreatedExportAnswer(success=True, export_job=shown, message=WAITING)
    return CreatedExportAnswer(success=True, export_job=shown)


@router.get("", response_model_exclude_unset=True)
async def list_exports(
    user: CurrentUser, system: CurrentSystem, query: Annotated[ExportsQuery, Query()]
) -> ExportsAnswer:
    """List the user's exports, newest first, 50 a page."""
    page = await system.exports.list_exports(
        user.id, status=query.status, cursor=query.cursor, limit=MAX_PAGE
    )
    exports = [shown_export(record, system.exports.signed_url(record)) for record in page.records]
    return ExportsAnswer(success=True, exports=exports, next_cursor=page.next_cursor)


@router.get("/{exportId}", response_model_exclude_unset=True)
async def get_export(
    caller: CurrentCaller, export_id: ExportId, system: CurrentSystem
) -> ExportAnswer:
    """Show one export to its owner or to an operator."""
    owner_id = None if caller.is_operator else user_of(caller).id
    record = await system.exports.get_export(export_id, owner_id)
    shown = shown_export(record, system.exports.signed_url(record))
    return ExportAnswer(success=True, export=shown)


@router.head("/{exportId}/file", include_in_schema=False)
@router.get("/{exportId}/file", response_class=Response)
async def download_export(
    request: Request,
    export_id: ExportId,
    system: CurrentSystem,
    link: Annotated[LinkQuery, Query()],
) -> Response:
    """Download a finished export: by its signed link, or as the owner.

    The link is the permission, so a request that carries one needs no key.
    """
    user_id = None if link.is_given else user_of(await authenticate(request)).id
    file = await system.exports.open_file(
        export_id, expires=link.expires, signature=link.signature, user_id=user_id
    )
    return await download(request, file)
