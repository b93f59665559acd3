"""What the API and other callers do with exports."""

from __future__ import annotations

import asyncio
import base64
import binascii
import logging
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, BinaryIO, Literal

from oxcart.database.texts import is_storable
from oxcart.database.types import ExportStatus
from oxcart.errors import StoreError
from oxcart.exports.datasets import DATASETS, dataset_of
from oxcart.exports.errors import (
    BadFilter,
    ExportExpired,
    ExportNotFound,
    ExportNotReady,
    LinkInvalid,
)
from oxcart.exports.exporter import key_of
from oxcart.exports.gate import QueueGate
from oxcart.exports.idempotency import IdempotencyKey
from oxcart.exports.links import web_url
from oxcart.exports.records import ExportRecord, ExportRecords, Position

if TYPE_CHECKING:
    from collections.abc import Mapping

    from oxcart import JsonValue
    from oxcart.database.users import User
    from oxcart.exports.jobs import ExportJobs
    from oxcart.exports.links import LinkSigner
    from oxcart.exports.storage import Storage

log = logging.getLogger("oxcart.exports")

MAX_PAGE = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestedExport:
    """An export that was asked for."""

    record: ExportRecord
    job_id: str | None
    """None when the queue was not to be had: the export is queued as soon as it is."""
    is_repeated: bool = False
    """Whether an earlier request with the same idempotency key had asked for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportPage:
    """A part of a user's list of exports, newest first."""

    records: tuple[ExportRecord, ...]
    next_cursor: str | None
    """Where the list goes on; None at its end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportFile:
    """A finished export's file, ready to be sent."""

    filename: str
    """For people, to save it under."""
    media_type: str
    size_bytes: int
    sha256: str | None
    key: str
    storage: Storage

    def open(self) -> BinaryIO:
        """Open it for reading, wherever it is; blocking."""
        return self.storage.open(self.key)


class ExportService:
    """Takes requests for exports, lists them and hands out their files.

    Args:
        jobs: queues the exports.
        records: keeps the rows.
        storage: keeps the files.
        signer: makes and checks links.
        keep_for: how long after its completion an export expires; None: never.
        gate: keeps requests from waiting for a dead queue.
    """

    def __init__(
        self,
        *,
        jobs: ExportJobs,
        records: ExportRecords,
        storage: Storage,
        signer: LinkSigner,
        keep_for: timedelta | None = None,
        gate: QueueGate | None = None,
    ) -> None:
        self._jobs = jobs
        self._records = records
        self._storage = storage
        self._signer = signer
        self._keep_for = keep_for
        self._gate = gate or QueueGate()

    async def request_export(
        self,
        user: User,
        type_: str,
        filters: Mapping[str, JsonValue] | None = None,
        *,
        idempotency_key: str | None = None,
    ) -> RequestedExport:
        """Write down that the user wants an export, and queue it.

        Args:
            user: the user who asks.
            type_: which export.
            filters: values by the names of the export's filters.
            idempotency_key: a request that is repeated with its key within 24 hours makes no
                second export and returns the first.

        Raises:
            UnknownExportType, UnknownFilter, BadFilter: there is no such thing.
            ExportForbidden: not for this user.
            IdempotencyKeyReused: the key came with another request before.
            ExportQuotaExceeded: the user has asked for enough.
            DatabaseUnavailable: nothing was written down.
        """
        dataset_of(type_).check(user, filters or {})
        if idempotency_key is None:
            record = await self._records.create(user_id=user.id, type_=type_, filters=filters)
            return RequestedExport(record=record, job_id=await self._enqueue(record))
        key = IdempotencyKey.of_request(
            idempotency_key, user_id=user.id, type_=type_, filters=filters
        )
        record, is_new = await self._records.create_once(key, type_=type_, filters=filters)
        # The first request may not have queued the job; queueing it twice queues it once.
        job_id = await self._enqueue(record) if record.is_open else record.id
        return RequestedExport(record=record, job_id=job_id, is_repeated=not is_new)

    async def list_exports(
        self,
        user_id: str,
        *,
        status: str | None = None,
        cursor: str | None = None,
        limit: int = MAX_PAGE,
    ) -> ExportPage:
        """Return a page of the user's exports, newest first.

        Args:
            user_id: whose.
            status: only those, one of ``ExportStatus``.
            cursor: the last page's ``next_cursor``.
            limit: 1 to 50.

        Raises:
            BadFilter: status, cursor or limit is none.
        """
        if not 1 <= limit <= MAX_PAGE:
            raise BadFilter("limit", f"must be from 1 to {MAX_PAGE}")
        found = await self._records.list_for_user(
            user_id,
            status=_status_of(status),
            after=None if cursor is None else _read_cursor(cursor),
            limit=limit + 1,
        )
        page = tuple(found[:limit])
        has_more = len(found) > limit
        next_cursor = _write_cursor(Position.of(page[-1])) if has_more else None
        return ExportPage(records=page, next_cursor=next_cursor)

    async def count_by_status(self) -> dict[ExportStatus, int]:
        """How many exports there are of each status, everybody's."""
        return await self._records.count_by_status()

    async def get_export(self, export_id: str, user_id: str | None) -> ExportRecord:
        """Return an export.

        Args:
            export_id: which.
            user_id: whose it must be; None for an operator, who sees all.

        Raises:
            ExportNotFound: there is none, or it is another user's.
        """
        record = await self._records.get(export_id)
        if record is None or user_id not in (None, record.user_id):
            raise ExportNotFound(export_id)
        return record

    def signed_url(self, record: ExportRecord) -> str | None:
        """Return a link to the export's file that needs no login for a while.

        Returns:
            None unless COMPLETED, and after the export expired. A URL that another system set is
            returned as it is.
        """
        if record.status is not ExportStatus.COMPLETED or record.file_url is None:
            return None
        if self._is_expired(record):
            return None
        if self._signer.is_ours(record.file_url, record.id):
            return self._signer.signed_url(record.id)
        return record.file_url

    def expires_at(self, record: ExportRecord) -> datetime | None:
        """Return when the export's file is or was removed; None: not yet finished, or never."""
        if record.expired_at is not None:
            return record.expired_at
        if self._keep_for is None or record.completed_at is None or record.file_url is None:
            return None
        is_ours = self._signer.is_ours(record.file_url, record.id)
        return record.completed_at + self._keep_for if is_ours else None

    async def open_file(
        self,
        export_id: str,
        *,
        expires: str | None = None,
        signature: str | None = None,
        user_id: str | None = None,
    ) -> ExportFile:
        """Return the export's file to the bearer of a valid link or to its owner.

        Args:
            export_id: which.
            expires: from the link.
            signature: from the link.
            user_id: the user who asks without a link.

        Raises:
            LinkInvalid, LinkExpired: the link is no good, or there is neither link nor user.
            ExportNotFound: there is none, it is another user's, or its file is no longer kept.
            ExportNotReady: there is no file yet.
            ExportExpired: the file was kept long enough and was removed.
            ExportForbidden: the owner may no longer see what the file holds.
        """
        if expires is not None or signature is not None:
            self._signer.check(export_id, expires=expires, signature=signature)
            user_id = None
        elif user_id is None:
            raise LinkInvalid("a link or a login is needed")
        record = await self._finished(export_id, user_id)
        await self._check_owner(record)
        return await asyncio.to_thread(self._file_of, record)

    async def open_any_file(self, export_id: str) -> ExportFile:
        """Return an export's file to an operator, who may have every file.

        Raises:
            ExportNotFound, ExportNotReady, ExportExpired: as ``open_file``.
        """
        return await asyncio.to_thread(self._file_of, await self._finished(export_id, None))

    async def _finished(self, export_id: str, user_id: str | None) -> ExportRecord:
        record = await self.get_export(export_id, user_id)
        if record.status is not ExportStatus.COMPLETED:
            raise ExportNotReady(export_id, record.status)
        if self._is_expired(record):
            raise ExportExpired(export_id)
        return record

    async def report_event(
        self,
        event: Literal["completed", "failed"],
        job_id: str,
        *,
        result: JsonValue = None,
        error: str | None = None,
    ) -> ExportRecord | None:
        """Set an export's row from what a worker, here or of the site, reports.

        A COMPLETED row stays as it is, whatever is reported.

        Args:
            event: what happened to the job.
            job_id: the job's id, which is the row's.
            result: of a completed job: the file's URL.
            error: of a failed job: why.

        Returns:
            The row as it is now, or None if there is none.
        """
        if event == "completed":
            await self._records.mark_completed(job_id, file_url=web_url(result))
        else:
            await self._records.mark_failed(job_id, error or "reported as failed")
        return await self._records.get(job_id)

    def _is_expired(self, record: ExportRecord) -> bool:
        expires_at = self.expires_at(record)
        return expires_at is not None and expires_at <= datetime.now(UTC)

    async def _check_owner(self, record: ExportRecord) -> None:
        """Refuse the file of an owner who was deleted or demoted after it was written."""
        owner = await self._records.owner_of(record)
        if owner is None:
            raise ExportNotFound(record.id, "its user was deleted")
        dataset = DATASETS.get(record.type)
        if dataset is not None:
            dataset.check_owner(owner, record.owner_role)

    async def _enqueue(self, record: ExportRecord) -> str | None:
        if not self._gate.is_open:
            return None
        try:
            job = await self._jobs.enqueue(record)
        except StoreError as error:
            self._gate.close()
            log.warning("export.left_to_outbox", extra={"job_id": record.id, "reason": str(error)})
            return None
        return job.id

    def _file_of(self, record: ExportRecord) -> ExportFile:
        dataset = DATASETS.get(record.type)
        key = None if dataset is None else key_of(record.id, dataset)
        size = None if key is None else self._storage.size(key)
        if dataset is None or key is None or size is None:
            raise ExportNotFound(record.id, "its file is not (or no longer) kept here")
        if record.size_bytes not in (None, size):
            # Its hash is the row's no more, and a part of an archive is worth nothing.
            fact = {"job_id": record.id, "size_bytes": size, "expected_bytes": record.size_bytes}
            log.error("export.file_damaged", extra=fact)
            raise ExportNotFound(record.id, "its file is damaged; ask for the export again")
        name = record.type.lower().replace("_", "-")
        return ExportFile(
            filename=f"{name}-{record.created_at:%Y-%m-%d}{dataset.writer.extension}",
            media_type=dataset.writer.media_type,
            size_bytes=size,
            sha256=record.sha256,
            key=key,
            storage=self._storage,
        )


def _status_of(status: str | None) -> ExportStatus | None:
    if status is None:
        return None
    try:
        return ExportStatus(status)
    except ValueError as error:
        raise BadFilter("status", f"must be one of {', '.join(ExportStatus)}") from error


def _write_cursor(place: Position) -> str:
    milliseconds = round(place.created_at.timestamp() * 1000)
    return base64.urlsafe_b64encode(f"{milliseconds}.{place.id}".encode()).decode().rstrip("=")


def _read_cursor(cursor: str) -> Position:
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        text = base64.b64decode(padded, altchars=b"-_", validate=True).decode()
        milliseconds, _, record_id = text.partition(".")
        created_at = datetime.fromtimestamp(int(milliseconds) / 1000, UTC)
    except (ValueError, OverflowError, OSError, binascii.Error) as error:
        raise BadFilter("cursor", "is not one that this list gave") from error
    if not is_storable(record_id):
        raise BadFilter("cursor", "is not one that this list gave")
    return Position(created_at, record_id)
