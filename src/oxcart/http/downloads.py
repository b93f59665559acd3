"""Sending a finished export as a download."""

from __future__ import annotations

import os
import re
from contextlib import closing
from typing import TYPE_CHECKING
from urllib.parse import quote

from starlette.concurrency import iterate_in_threadpool, run_in_threadpool
from starlette.responses import FileResponse, Response, StreamingResponse

from oxcart.http.problems import Kind, ProblemError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import BinaryIO

    from starlette.requests import Request

    from oxcart.exports.service import ExportFile

NOT_MODIFIED = 304
CHUNK_BYTES = 256 * 1024
_OTHER_THAN_PLAIN = re.compile(r"[^A-Za-z0-9._-]+")


async def download(request: Request, file: ExportFile) -> Response:
    """Answer with a file: whole, 304, or (a file on this machine) the part that ``Range`` asks for.

    Raises:
        ProblemError: 404, the file is no longer in the storage.
    """
    headers = {
        "content-disposition": attachment(file.filename),
        "cache-control": "private, no-store",
    }
    if file.sha256 is not None:
        headers["etag"] = f'"{file.sha256}"'
        if _is_known(request, headers["etag"]):
            return Response(status_code=NOT_MODIFIED, headers={"etag": headers["etag"]})
    try:
        if file.path is not None:
            return await _local(file, file.path, headers)
        return await _remote(request, file, headers)
    except FileNotFoundError as error:
        detail = "the export's file was removed; ask for the export again"
        raise ProblemError(Kind.NOT_FOUND, detail) from error


def attachment(filename: str) -> str:
    """The ``Content-Disposition`` for a file name (RFC 6266): a plain form, and the exact one."""
    plain = _OTHER_THAN_PLAIN.sub("_", filename).strip("_.") or "export"
    exact = quote(filename, safe="", errors="replace")
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{exact}"


async def _local(file: ExportFile, path: Path, headers: dict[str, str]) -> Response:
    stat = await run_in_threadpool(os.stat, path)
    return FileResponse(path, headers=headers, media_type=file.media_type, stat_result=stat)


async def _remote(request: Request, file: ExportFile, headers: dict[str, str]) -> Response:
    headers["content-length"] = str(file.size_bytes)
    if request.method == "HEAD":
        return Response(headers=headers, media_type=file.media_type)
    chunks = iterate_in_threadpool(_chunks(await run_in_threadpool(file.open)))
    return StreamingResponse(chunks, headers=headers, media_type=file.media_type)


def _chunks(source: BinaryIO) -> Iterator[bytes]:
    with closing(source):
        while chunk := source.read(CHUNK_BYTES):
            yield chunk


def _is_known(request: Request, etag: str) -> bool:
    known = request.headers.get("if-none-match", "")
    return known == "*" or etag in (tag.strip().removeprefix("W/") for tag in known.split(","))
