"""The relay: queues the deliveries that the outbox holds, and prunes those that ended long ago.

Any number of relays may run at once: a delivery's job has its id, so queueing it twice queues it
once. A delivery whose job is gone, because Redis was emptied or its worker was killed too often, is
queued again.
"""

from __future__ import annotations

import asyncio
import logging
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from oxcart import JobState

if TYPE_CHECKING:
    from oxcart.webhooks.job_events import JobEvents
    from oxcart.webhooks.jobs import DeliveryJobs
    from oxcart.webhooks.records import Delivery, DeliveryRecords

log = logging.getLogger("oxcart.webhooks")

INTERVAL = timedelta(seconds=1)
OVERDUE_AFTER = timedelta(minutes=2)
"""How late an attempt must be before its job is looked for."""
OVERDUE_INTERVAL = timedelta(seconds=30)
PRUNE_INTERVAL = timedelta(minutes=10)
KEEP = timedelta(days=30)
BATCH = 100
_ENDED = (JobState.COMPLETED, JobState.FAILED, JobState.UNKNOWN)


class Relay:
    """Moves deliveries from the database to the queue.

    Args:
        jobs: queues the deliveries.
        records: the rows.
        job_events: writes messages for jobs that end, if any are reported.
        interval: between two looks at the outbox.
        overdue_after: how late an attempt must be before its job is looked for.
        overdue_interval: between two looks for lost jobs.
        keep: for how long deliveries that ended are kept.
        batch: how many overdue deliveries one look for lost jobs takes.
    """

    def __init__(
        self,
        jobs: DeliveryJobs,
        records: DeliveryRecords,
        job_events: JobEvents | None = None,
        *,
        interval: timedelta = INTERVAL,
        overdue_after: timedelta = OVERDUE_AFTER,
        overdue_interval: timedelta = OVERDUE_INTERVAL,
        keep: timedelta = KEEP,
        batch: int = BATCH,
    ) -> None:
        self._jobs = jobs
        self._records = records
        self._job_events = job_events
        self._interval_seconds = interval.total_seconds()
        self._overdue_after = overdue_after
        self._overdue_every = _Every(overdue_interval)
        self._prune_every = _Every(PRUNE_INTERVAL)
        self._keep = keep
        self._batch = batch
        self._looked_up_to: Delivery | None = None
        self._is_troubled = False

    async def run(self) -> None:
        """Look at the outbox again and again, until cancelled."""
        while True:
            try:
                await self._work()
            except Exception as error:  # noqa: BLE001  # a loop top: whatever it is may pass
                self._note_trouble(error)
            else:
                self._note_recovery()
            await asyncio.sleep(self._interval_seconds)

    async def look(self) -> int:
        """Queue what the outbox holds, all of it.

        Returns:
            How many deliveries were queued.

        Raises:
            StoreUnavailable: the queue cannot be reached.
            DatabaseUnavailable: the rows cannot be read.
        """
        queued_count = 0
        while True:
            found = await self._records.pending(limit=BATCH)
            if found:
                await self._jobs.enqueue(found)
                await self._records.mark_queued(found)
            queued_count += len(found)
            if len(found) < BATCH:
                return queued_count

    async def recover(self) -> int:
        """Queue deliveries again whose job is not in the queue although an attempt is overdue.

        Returns:
            How many were put back to the outbox.
        """
        recovered_count = 0
        found = await self._records.overdue(
            by=self._overdue_after, limit=self._batch, after=self._looked_up_to
        )
        # Deliveries whose job still waits stay overdue, so a look goes on where the last one
        # stopped; at the end it begins again.
        self._looked_up_to = found[-1] if len(found) == self._batch else None
        for item in found:
            state = await self._jobs.queue.get_state(item.job_id)
            if state in _ENDED and await self._records.requeue(item):
                recovered_count += 1
                log.warning(
                    "webhook.job_lost", extra={"delivery_id": item.id, "state": state.value}
                )
        return recovered_count

    async def prune(self) -> int:
        """Delete deliveries that ended long ago, a bounded number of them.

        Returns:
            How many messages were deleted.
        """
        return await self._records.prune(before=datetime.now(UTC) - self._keep, limit=BATCH * 10)

    async def _work(self) -> None:
        if self._overdue_every.is_due():
            await self.recover()
        if self._job_events is not None:
            await self._job_events.look()
        await self.look()
        if self._prune_every.is_due():
            await self.prune()

    def _note_trouble(self, error: Exception) -> None:
        # Once an outage, not once a look.
        if not self._is_troubled:
            log.warning("webhook.relay_interrupted", extra={"reason": str(error)})
        self._is_troubled = True

    def _note_recovery(self) -> None:
        if self._is_troubled:
            log.info("webhook.relay_resumed")
        self._is_troubled = False


class _Every:
    """Whether an interval has passed."""

    def __init__(self, interval: timedelta) -> None:
        self._seconds = interval.total_seconds()
        self._due_at = time.monotonic() + self._seconds

    def is_due(self) -> bool:
        if time.monotonic() < self._due_at:
            return False
        self._due_at = time.monotonic() + self._seconds
        return True
