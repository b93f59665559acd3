"""The four export jobs and what a worker does for them."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from oxcart import Fail, JobContext, Retention, current_job, exponential
from oxcart.errors import PayloadError, StoreError
from oxcart.exports.datasets import DATASETS, dataset_of
from oxcart.exports.errors import (
    MAX_SHOWN_CHARS,
    BadFilter,
    ExportForbidden,
    UnknownExportType,
    UnknownFilter,
)
from oxcart.exports.exporter import Exporter, ExportOrder, key_of
from oxcart.exports.payload import ExportPayload
from oxcart.exports.records import ExportRecords

if TYPE_CHECKING:
    from collections.abc import Mapping

    from oxcart import App, FailedJob, Job, JsonValue, Queue
    from oxcart.database.engine import Database
    from oxcart.exports.exporter import ExportResult, Progress
    from oxcart.exports.links import LinkSigner
    from oxcart.exports.records import ExportRecord
    from oxcart.exports.storage import Storage

log = logging.getLogger("oxcart.exports")

QUEUE = "export"
ATTEMPTS = 3
TIMEOUT = "2h"
MAX_SHOWN_FILTERS = 10
"""How many filters that were ignored the log names."""
_HOPELESS = (UnknownExportType, UnknownFilter, BadFilter, ExportForbidden)
"""Errors that another attempt would only repeat."""


class ExportJobs:
    """Declares the jobs on an app, queues them and runs them.

    Args:
        app: where the jobs are declared.
        database: where the rows are, of the exports and of what they export.
        storage: where the files go.
        signer: knows the files' URLs.
        records: the rows of the exports; by default those of the database.
    """

    def __init__(
        self,
        app: App,
        *,
        database: Database,
        storage: Storage,
        signer: LinkSigner,
        records: ExportRecords | None = None,
    ) -> None:
        self._app = app
        self._storage = storage
        self._signer = signer
        self._records = records or ExportRecords(database)
        self._exporter = Exporter(database, storage)
        declare = {
            type_: app.job(
                type_,
                queue=QUEUE,
                attempts=ATTEMPTS,
                backoff=exponential("2s"),
                timeout=TIMEOUT,
                retry={PayloadError: False},
                keep_completed=Retention(count=50, age="7d"),
                keep_failed=Retention(count=25, age="30d"),
                on_failure=self.on_failure,
            )
            for type_ in DATASETS
        }
        self._definitions = {type_: job(self.run_export) for type_, job in declare.items()}

    @property
    def queue(self) -> Queue:
        """The queue of the exports."""
        return self._app.queue(QUEUE)

    async def enqueue(self, record: ExportRecord) -> Job[str]:
        """Queue the export's job. Doing it twice queues it once: its id is the row's.

        Raises:
            UnknownExportType: the row is of an export that oxcart does not know.
            StoreError: the queue is not to be had.
        """
        dataset_of(record.type)
        payload = ExportPayload(
            export_job_id=record.id,
            user_id=record.user_id,
            type=record.type,
            filters=dict(record.filters) if record.filters else None,
        )
        return await self._definitions[record.type].options(job_id=record.id).enqueue(payload)

    def run_export(self, payload: ExportPayload, /) -> str:
        """Write an export's file; runs in a worker's thread.

        Returns:
            The file's URL, as in the row.

        Raises:
            Fail: another attempt would not help.
        """
        job = current_job()
        record = self._started(job, payload)
        if not record.is_open:
            # An attempt before this one got as far as the row and died before it could say so.
            return record.file_url or self._signer.file_url(record.id)
        self._note_ignored(job, record.type, payload.filters or {})
        order = ExportOrder(
            export_id=record.id,
            user_id=record.user_id,
            type=record.type,
            filters=payload.filters or {},
        )
        try:
            result = self._exporter.run(order, _JobObserver(job))
        except _HOPELESS as error:
            raise Fail(str(error)) from error
        job.ensure_lock()
        file_url = self._signer.row_url(record.id)
        if not self._finish(job, record, file_url, result):
            self._storage.delete(result.file.key)
            raise Fail(f"the export {record.id!r} was deleted while its file was written")
        return file_url

    async def on_failure(self, failed: FailedJob) -> None:
        """Set the row of a job that failed for good FAILED, and drop what it has written."""
        record = await self._records.get(failed.id)
        if record is None or not await self._records.mark_failed(record.id, failed.reason):
            return
        log.warning("export.failed", extra={"job_id": failed.id, "type": record.type})
        if record.type in DATASETS:
            key = key_of(record.id, dataset_of(record.type))
            await asyncio.to_thread(self._storage.delete, key)

    def _note_ignored(self, job: JobContext, type_: str, filters: Mapping[str, JsonValue]) -> None:
        ignored = dataset_of(type_).ignored(filters) if type_ in DATASETS else ()
        if ignored and job.attempt == 1:
            shown = [name[:MAX_SHOWN_CHARS] for name in ignored[:MAX_SHOWN_FILTERS]]
            fact = {"job_id": job.job_id, "type": type_, "filters": shown}
            log.info("export.filters_ignored", extra=fact)

    def _started(self, job: JobContext, payload: ExportPayload) -> ExportRecord:
        """Set the row PROCESSING and return it, or refuse a job that does not fit its row."""
        record = self._records.get_sync(job.job_id)
        if record is None:
            raise Fail(f"there is no export {job.job_id!r} in the database")
        # Rights were given to what the row says; the job may not widen them.
        says = (payload.export_job_id, payload.user_id, payload.type, job.name)
        if says != (record.id, record.user_id, record.type, record.type):
            raise Fail(f"the job does not fit the export {record.id!r} in the database")
        started = self._records.mark_processing_sync(record.id, attempt=job.attempt)
        if started is None:
            raise Fail(f"the export {record.id!r} was deleted")
        return started

    def _finish(
        self, job: JobContext, record: ExportRecord, file_url: str, result: ExportResult
    ) -> bool:
        """Set the row COMPLETED.

        Returns:
            Whether the row is still there; it goes with its user.
        """
        is_moved = self._records.mark_completed_sync(
            record.id,
            file_url=file_url,
            rows=result.rows,
            size_bytes=result.file.size_bytes,
            sha256=result.file.sha256,
            owner_role=result.owner_role,
        )
        if not is_moved:
            return self._records.get_sync(record.id) is not None
        log.info(
            "export.completed",
            extra={
                "job_id": job.job_id,
                "type": record.type,
                "rows": result.rows,
                "size_bytes": result.file.size_bytes,
            },
        )
        return True


class _JobObserver:
    """Tells the job how its export goes, and the export whether the job is still ours."""

    def __init__(self, job: JobContext) -> None:
        self._job = job

    def check(self) -> None:
        self._job.ensure_lock()

    def report(self, progress: Progress) -> None:
        value: JsonValue = {
            "percent": progress.percent,
            "rows": progress.rows,
            "total": progress.total,
            "phase": progress.phase,
        }
        try:
            self._job.sync.progress(value)
        except StoreError:
            # Progress is a courtesy. Whether the export may go on is check's to say.
            log.debug("export.progress_lost", extra={"job_id": self._job.job_id})
