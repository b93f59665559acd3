"""Sending a finished export as a download."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING
from urllib.parse import quote

from starlette.concurrency import iterate_in_threadpool, run_in_threadpool
from starlette.responses import Response, StreamingResponse

from oxcart.http.problems import Kind, ProblemError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any, BinaryIO

    from starlette.requests import Request
    from starlette.types import Receive, Scope, Send

    from oxcart.exports.service import ExportFile

OK = 200
PARTIAL = 206
NOT_MODIFIED = 304
CHUNK_BYTES = 256 * 1024
_OTHER_THAN_PLAIN = re.compile(r"[^A-Za-z0-9._-]+")
_RANGE = re.compile(r"bytes=\s*([0-9]{0,18})-([0-9]{0,18})\s*", re.IGNORECASE)


async def download(request: Request, file: ExportFile) -> Response:
    """Answer with a file: whole, the one part that ``Range`` asks for, or 304.

    Raises:
        ProblemError: 404, the file is no longer in the storage or no longer whole; 416.
    """
    headers = {
        "content-disposition": attachment(file.filename),
        "cache-control": "private, no-store",
        "accept-ranges": "bytes",
    }
    if file.sha256 is not None:
        headers["etag"] = f'"{file.sha256}"'
        if _is_known(request, headers["etag"]):
            return Response(status_code=NOT_MODIFIED, headers={"etag": headers["etag"]})
    try:
        source = await run_in_threadpool(_open_whole, file)
    except FileNotFoundError as error:
        detail = "the export's file was removed; ask for the export again"
        raise ProblemError(Kind.NOT_FOUND, detail) from error
    try:
        part = _part(request, file.size_bytes, headers.get("etag"))
    except ProblemError:
        source.close()
        raise
    if part is not None:
        headers["content-range"] = f"bytes {part.start}-{part.stop - 1}/{file.size_bytes}"
    sent = range(file.size_bytes) if part is None else part
    headers["content-length"] = str(len(sent))
    return _FileAnswer(
        source,
        sent,
        is_head=request.method == "HEAD",
        status_code=OK if part is None else PARTIAL,
        headers=headers,
        media_type=file.media_type,
    )


def attachment(filename: str) -> str:
    """The ``Content-Disposition`` for a file name (RFC 6266): a plain form, and the exact one."""
    plain = _OTHER_THAN_PLAIN.sub("_", filename).strip("_.") or "export"
    exact = quote(filename, safe="", errors="replace")
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{exact}"


class _FileAnswer(StreamingResponse):
    """Sends a part of an open file, and closes the file whatever happens."""

    def __init__(self, source: BinaryIO, part: range, *, is_head: bool, **options: Any) -> None:
        self._source = source
        chunks = iter(()) if is_head else _chunks(source, part)
        super().__init__(iterate_in_threadpool(chunks), **options)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._source.close()


def _open_whole(file: ExportFile) -> BinaryIO:
    """Open the file if it is as long as it was when it was found.

    Raises:
        FileNotFoundError: it was removed or cut short in between.
    """
    source = file.open()
    if source.seek(0, os.SEEK_END) != file.size_bytes:
        source.close()
        raise FileNotFoundError(file.key)
    return source


def _chunks(source: BinaryIO, part: range) -> Iterator[bytes]:
    source.seek(part.start)
    left = len(part)
    while left and (chunk := source.read(min(left, CHUNK_BYTES))):
        left -= len(chunk)
        yield chunk


def _part(request: Request, size: int, etag: str | None) -> range | None:
    """The bytes that ``Range`` asks for; None for the whole file.

    That as well where ``Range`` asks for several parts or cannot be read, and where ``If-Range``
    names another version of the file, as RFC 9110 allows or wants.

    Raises:
        ProblemError: 416, the file has none of the bytes that are asked for.
    """
    asked = _RANGE.fullmatch(request.headers.get("range", ""))
    if asked is None or request.headers.get("if-range", etag) != etag:
        return None
    first, last = asked.groups()
    if first:
        part = range(int(first), min(int(last), size - 1) + 1 if last else size)
        if last and int(last) < int(first):
            return None
    elif last:
        part = range(max(0, size - int(last)), size)
    else:
        return None
    if not part:
        raise ProblemError(
            Kind.RANGE_NOT_SATISFIABLE,
            f"the file has {size} bytes",
            content_range=f"bytes */{size}",
        )
    return part


def _is_known(request: Request, etag: str) -> bool:
    known = request.headers.get("if-none-match", "")
    return known == "*" or etag in (tag.strip().removeprefix("W/") for tag in known.split(","))
