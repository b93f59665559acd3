"""Where the built-in system's jobs wait when that is SQS, and how its exports are found there.

SQS has no looking up of jobs. The rows of the exports say how their jobs are, all but one thing:
whether the job of an open row is in the queue at all. It is not if the queue is empty, so that a
row that is open then is queued again by the outbox.
"""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from oxcart._model.clock import epoch_ms
from oxcart._model.job import JobRecord
from oxcart._model.options import JobOptions
from oxcart._model.states import JobState
from oxcart.database.types import ExportStatus
from oxcart.exports.jobs import ATTEMPTS
from oxcart.exports.jobs import QUEUE as EXPORT_QUEUE
from oxcart.exports.records import ExportRecord, ExportRecords
from oxcart.sqs.broker import built_in_broker
from oxcart.sqs.end import Found

if TYPE_CHECKING:
    from collections.abc import Callable

    from oxcart.database.engine import Database
    from oxcart.settings import Settings
    from oxcart.sqs.broker import SqsBroker
    from oxcart.sqs.client import SqsClient

SETTLED_FOR = timedelta(minutes=2)
"""How long a row must have stood still before an empty queue says that its job is lost: SQS'
figures are up to a minute old."""
FRESH_S = 30.0
"""How long the figures are good for: a look of the outbox asks once, not once a row, and is not
misled by the jobs that it has just queued."""
AGAIN_S = 600.0
"""How long a row is left in peace after its job was called lost: it is on its way again."""
MAX_REMEMBERED = 10_000

_STATES = {
    ExportStatus.PENDING: JobState.WAITING,
    ExportStatus.PROCESSING: JobState.ACTIVE,
    ExportStatus.COMPLETED: JobState.COMPLETED,
    ExportStatus.FAILED: JobState.FAILED,
}


def open_broker(settings: Settings, database: Database) -> SqsBroker | None:
    """The broker that the settings ask for; ``None`` for Redis.

    Raises:
        ConfigError: the settings name no queue in SQS, or a URL is none.
    """
    broker = built_in_broker(settings)
    if broker is not None and EXPORT_QUEUE in broker.addresses:
        is_empty = EmptyQueue(broker.client, broker.addresses[EXPORT_QUEUE].url)
        broker.look_up(EXPORT_QUEUE, ExportLookup(ExportRecords(database), is_empty).find)
    return broker


class EmptyQueue:
    """Says whether a queue in SQS is empty, asking at most every half minute.

    Args:
        client: calls SQS.
        url: the queue.
        monotonic: a clock in seconds.
    """

    def __init__(
        self, client: SqsClient, url: str, *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._client = client
        self._url = url
        self._monotonic = monotonic
        self._is_empty = False
        self._fresh_until = float("-inf")

    async def __call__(self) -> bool:
        """Whether nothing waits, is delayed, or is being worked on.

        Raises:
            StoreUnavailable: SQS cannot be reached.
        """
        if self._monotonic() >= self._fresh_until:
            counts = await asyncio.to_thread(self._client.counts, self._url)
            self._is_empty = not any(counts)
            self._fresh_until = self._monotonic() + FRESH_S
        return self._is_empty


class ExportLookup:
    """Finds the jobs of exports by their rows.

    Args:
        records: the rows.
        is_empty: whether the queue of the exports is empty.
        settled_for: how long a row must have stood still before its job may count as lost.
        monotonic: a clock in seconds.
    """

    def __init__(
        self,
        records: ExportRecords,
        is_empty: EmptyQueue,
        *,
        settled_for: timedelta = SETTLED_FOR,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._records = records
        self._is_empty = is_empty
        self._settled_for = settled_for
        self._monotonic = monotonic
        self._lost_until: dict[str, float] = {}

    async def find(self, job_id: str) -> Found | None:
        """The job of an export, as its row says; its state is unknown if the queue has lost it."""
        record = await self._records.get(job_id)
        if record is None:
            return None
        state = _STATES[record.status]
        if record.is_open and await self._is_lost(record):
            state = JobState.UNKNOWN
        return Found(record=_job_of(record), state=state)

    async def _is_lost(self, record: ExportRecord) -> bool:
        since = record.started_at or record.created_at
        if datetime.now(UTC) - since <= self._settled_for:
            return False
        if self._monotonic() < self._lost_until.get(record.id, float("-inf")):
            return False
        if not await self._is_empty():
            return False
        if len(self._lost_until) >= MAX_REMEMBERED:
            self._lost_until.clear()
        self._lost_until[record.id] = self._monotonic() + AGAIN_S
        return True


def _job_of(record: ExportRecord) -> JobRecord:
    ended = record.completed_at is not None
    attempts = record.attempts or 0
    return JobRecord(
        id=record.id,
        name=record.type,
        data={
            "exportJobId": record.id,
            "userId": record.user_id,
            "type": record.type,
            **({"filters": dict(record.filters)} if record.filters else {}),
        },
        options=JobOptions(attempts=ATTEMPTS),
        created_at_ms=epoch_ms(record.created_at),
        attempts_made=attempts if ended else max(0, attempts - 1),
        attempts_started=attempts,
        processed_at_ms=None if record.started_at is None else epoch_ms(record.started_at),
        finished_at_ms=None if record.completed_at is None else epoch_ms(record.completed_at),
        return_value=record.file_url,
        failed_reason=record.error,
    )
