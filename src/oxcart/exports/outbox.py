"""The outbox: exports whose job is not in the queue get there by themselves.

A row is written first and its job is queued second, so that nothing that was promised is ever only
in Redis. Whatever goes wrong in between (Redis away, a crash, Redis emptied) leaves a row without a
job, and the rows are the truth. Any number of outboxes may run at once: a job's id is its row's, so
queueing it twice queues it once.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum
from typing import TYPE_CHECKING

from oxcart import JobState
from oxcart.database.errors import DatabaseError
from oxcart.errors import ConfigError, StoreUnavailable
from oxcart.exports.errors import UnknownExportType
from oxcart.exports.links import web_url
from oxcart.exports.records import Position

if TYPE_CHECKING:
    from oxcart.exports.jobs import ExportJobs
    from oxcart.exports.records import ExportRecord, ExportRecords

log = logging.getLogger("oxcart.exports")

INTERVAL = timedelta(seconds=5)
WAITING_FOR = timedelta(seconds=10)
"""How old a PENDING row must be: the request that made it is about to queue it itself."""
RUNNING_FOR = timedelta(minutes=1)
"""How long ago a PROCESSING row's last attempt must have begun."""
YOUNGER_THAN = timedelta(days=7)
"""Rows older than this are left alone: nobody waits for them any more."""
BATCH = 100
MAX_REMEMBERED = 1_000
"""How many rows that were skipped are remembered, to be named in the log once."""


class Outcome(Enum):
    """What became of one row at a look."""

    LEFT = "left"
    """There was nothing to do."""
    QUEUED = "queued"
    """Its job was missing."""
    SETTLED = "settled"
    """Its job had ended, and now the row says so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxRound:
    """What one look at the rows came to."""

    seen: int
    queued: int
    settled: int


class Outbox:
    """Looks for open rows without a job, and queues them.

    Args:
        jobs: queues them.
        records: the rows.
        interval: between two looks.
        waiting_for: how old a PENDING row must be.
        running_for: how long ago a PROCESSING row's last attempt must have begun.
        batch: how many rows are looked at at a time; the next look goes on behind them.
        adopts_all: queue rows that the site's own code made too; their filters are not known.
    """

    def __init__(
        self,
        *,
        jobs: ExportJobs,
        records: ExportRecords,
        interval: timedelta = INTERVAL,
        waiting_for: timedelta = WAITING_FOR,
        running_for: timedelta = RUNNING_FOR,
        batch: int = BATCH,
        adopts_all: bool = False,
    ) -> None:
        self._jobs = jobs
        self._records = records
        self._interval_seconds = interval.total_seconds()
        self._waiting_for = waiting_for
        self._running_for = running_for
        self._batch = batch
        self._adopts_all = adopts_all
        self._after: Position | None = None
        self._is_troubled = False
        self._skipped: set[str] = set()

    async def run(self) -> None:
        """Look at once and then every few seconds, until cancelled."""
        while True:
            try:
                await self.look()
            except Exception as error:  # noqa: BLE001  # a loop top: whatever it is may pass
                self._note_trouble(error)
            else:
                self._note_recovery()
            await asyncio.sleep(self._interval_seconds)

    async def look(self) -> OutboxRound:
        """Look at one batch of rows.

        Raises:
            StoreUnavailable: the queue is not to be had.
            DatabaseUnavailable: the rows are not.
        """
        records = await self._records.pending(
            waiting_for=self._waiting_for,
            running_for=self._running_for,
            younger_than=YOUNGER_THAN,
            after=self._after,
            limit=self._batch,
        )
        outcomes = [await self._look_at(record) for record in records]
        # Rows whose job is still waiting stay in the list, so a look goes on where the last one
        # stopped; at the end it begins again.
        self._after = Position.of(records[-1]) if len(records) == self._batch else None
        return OutboxRound(
            seen=len(records),
            queued=outcomes.count(Outcome.QUEUED),
            settled=outcomes.count(Outcome.SETTLED),
        )

    async def _look_at(self, record: ExportRecord) -> Outcome:
        try:
            state = await self._jobs.queue.get_state(record.id)
            if state is JobState.UNKNOWN:
                if not (record.is_own or self._adopts_all):
                    return Outcome.LEFT
                return await self._queue(record)
            if state in (JobState.COMPLETED, JobState.FAILED):
                return await self._settle(record, state)
        except (StoreUnavailable, DatabaseError):
            raise
        except Exception as error:  # noqa: BLE001  # one row's trouble must not keep others back
            self._note_skipped(record, error)
        return Outcome.LEFT

    async def _queue(self, record: ExportRecord) -> Outcome:
        # Between the row's reading and the job's absence the export may have ended and its job
        # may have been cleared away.
        current = await self._records.get(record.id)
        if current is None or not current.is_open:
            return Outcome.LEFT
        try:
            await self._jobs.enqueue(record)
        except (UnknownExportType, ConfigError) as error:
            # There is no such export, or the row's id cannot be a job's: it can never be queued.
            return _settled(is_moved=await self._records.mark_failed(record.id, str(error)))
        log.info("export.queued_by_outbox", extra={"job_id": record.id, "type": record.type})
        return Outcome.QUEUED

    async def _settle(self, record: ExportRecord, state: JobState) -> Outcome:
        """Bring a row up to date whose worker died between the job's end and the row's."""
        job = await self._jobs.queue.get_job(record.id)
        if state is JobState.FAILED:
            reason = (job and job.failed_reason) or "the job failed; its reason is not known"
            return _settled(is_moved=await self._records.mark_failed(record.id, reason))
        if job is None:
            return Outcome.LEFT
        url = web_url(job.return_value)
        return _settled(is_moved=await self._records.mark_completed(record.id, file_url=url))

    def _note_trouble(self, error: Exception) -> None:
        # Once an outage, not once a look.
        if not self._is_troubled:
            log.warning("export.outbox_waits", extra={"reason": str(error)})
        self._is_troubled = True

    def _note_skipped(self, record: ExportRecord, error: Exception) -> None:
        if record.id not in self._skipped:
            log.warning("export.outbox_skips", extra={"job_id": record.id, "reason": str(error)})
        if len(self._skipped) < MAX_REMEMBERED:
            self._skipped.add(record.id)

    def _note_recovery(self) -> None:
        if self._is_troubled:
            log.info("export.outbox_resumed")
        self._is_troubled = False


def _settled(*, is_moved: bool) -> Outcome:
    return Outcome.SETTLED if is_moved else Outcome.LEFT
