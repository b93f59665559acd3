"""Making a scheduler's next job when its pending one was taken, before that one runs.

The step that takes an interval's job has made it already; here that is made sure of, and the
patterns' jobs are made.
"""

from __future__ import annotations

import logging
import time

from oxcart._engine.hold import Hold
from oxcart._engine.reconnect import Reconnect
from oxcart._model.clock import Clock
from oxcart._model.cron import UnknownZone
from oxcart._model.job import JobRecord
from oxcart._model.options import JobOptions
from oxcart._model.outcome import Delayed, Lost, Outcome
from oxcart._model.schedule import Schedule
from oxcart._store.call import Call
from oxcart._store.calls.scheduling import Next, get_scheduler, make_next_iteration
from oxcart._store.calls.stepping import TakenJob
from oxcart._store.store import Store
from oxcart._wire import fields
from oxcart._wire.keys import QueueKeys
from oxcart._wire.schedule_codec import Repeat, read_repeat
from oxcart.errors import ConfigError, StoreError, StoreUnavailable, WrongKeyType

log = logging.getLogger("oxcart.schedulers")

AGAIN_MS = 10_000
"""How long a job waits whose successor could not be made."""
LOG_AGAIN_S = 60.0
"""How often it is logged that a scheduler is put off."""


class IterationMaker:
    """Makes the next job of a scheduler.

    The schedule must not be lost: a job does not run before its successor is made, or is known not
    to be due. What is wrong with the scheduler's own data is logged and does not keep the job from
    running, for it would be wrong the next time as well.

    Args:
        store: the server.
        keys: the queue.
        clock: what the time is.
    """

    def __init__(self, store: Store, keys: QueueKeys, clock: Clock) -> None:
        self._store = store
        self._keys = keys
        self._clock = clock
        self._log_at: dict[str, float] = {}  # when a scheduler that is put off is logged again

    async def make_next(self, taken: TakenJob, record: JobRecord, hold: Hold) -> Outcome | None:
        """Make the job after one that was taken, if a scheduler made that one.

        Args:
            taken: the job as it was taken.
            record: its fields.
            hold: the right to it; while it lasts, a server that is away is waited for.

        Returns:
            ``None`` if the job may run now; else what becomes of it instead.
        """
        if record.scheduler_id is None:
            return None
        try:
            repeat = read_repeat(taken.fields.get(fields.OPTIONS, b""))
            now_ms = record.processed_at_ms or 0
            if is_over(repeat, now_ms):
                return None
            due_ms = due_after(repeat, now_ms)
        except UnknownZone as error:
            return await self._put_off(record, error)
        except ConfigError as error:
            self._log_end(record, str(error))
            return None
        if repeat.schedule.pattern is not None and due_ms is None:
            return None
        return await self._make(record, repeat, due_ms, hold)

    async def _make(
        self, record: JobRecord, repeat: Repeat, due_ms: int | None, hold: Hold
    ) -> Outcome | None:
        call = self.call(
            record.scheduler_id or "", record.id, repeat, due_ms=due_ms, options=record.options
        )
        trouble = Reconnect()
        while hold.is_valid:
            try:
                made = await self._store.run(call)
            except StoreUnavailable as error:
                if trouble.is_first:
                    log.warning("scheduler.waits_for_server %s: %s", self._about(record), error)
                await trouble.wait()
            except StoreError as error:
                return self._refused(record, error)
            else:
                if made is Next.UNREADABLE:
                    self._log_end(record, "its definition cannot be read")
                return None
        return Lost()

    def call(
        self,
        scheduler_id: str,
        taken_id: str,
        repeat: Repeat,
        *,
        due_ms: int | None,
        options: JobOptions,
    ) -> Call[Next]:
        """The call that makes the job after one that was taken.

        Args:
            scheduler_id: the scheduler.
            taken_id: the job that was taken.
            repeat: what that job says of the schedule.
            due_ms: a pattern's next time; ``None`` for an interval.
            options: the job's.
        """
        return make_next_iteration(
            self._keys,
            scheduler_id,
            taken_id,
            repeat,
            due_ms=due_ms,
            priority=options.priority,
            lifo=options.lifo,
            clock=self._clock,
        )

    async def _put_off(self, record: JobRecord, error: UnknownZone) -> Outcome | None:
        """Leave a job to workers that know its time zone, unless one has made its successor."""
        scheduler_id = record.scheduler_id or ""
        try:
            info = await self._store.run(get_scheduler(self._keys, scheduler_id))
        except StoreError:
            return Delayed(AGAIN_MS)
        if info is None or record.id != f"repeat:{scheduler_id}:{info.next_at_ms}":
            return None
        if time.monotonic() >= self._log_at.get(scheduler_id, 0.0):
            self._log_at[scheduler_id] = time.monotonic() + LOG_AGAIN_S
            log.warning(
                "scheduler.put_off %s retry_in_ms=%d: %s; the job is left to other workers",
                self._about(record), AGAIN_MS, error,
            )  # fmt: skip
        return Delayed(AGAIN_MS)

    def _refused(self, record: JobRecord, error: StoreError) -> Outcome:
        kind = "wrong_key" if isinstance(error, WrongKeyType) else "not_made"
        log.error(
            "scheduler.next_job_%s %s: %s; the job is tried again in %d ms",
            kind, self._about(record), error, AGAIN_MS,
        )  # fmt: skip
        return Delayed(AGAIN_MS)

    def _log_end(self, record: JobRecord, reason: str) -> None:
        log.error("scheduler.has_no_next_job %s: %s", self._about(record), reason)

    def _about(self, record: JobRecord) -> str:
        queue = self._keys.queue
        return f"queue={queue} scheduler_id={record.scheduler_id} job_id={record.id}"


def is_over(repeat: Repeat, now_ms: int) -> bool:
    """Whether a schedule ends with a job: its limit is reached, or its end.

    Args:
        repeat: what the job says of the schedule.
        now_ms: the time at which the job was taken.
    """
    schedule = repeat.schedule
    is_at_limit = schedule.limit is not None and repeat.count >= schedule.limit
    return is_at_limit or (schedule.end_ms is not None and now_ms > schedule.end_ms)


def due_after(repeat: Repeat, now_ms: int) -> int | None:
    """A pattern's next time; ``None`` for an interval, or if there is none any more.

    Args:
        repeat: what the job that was taken says of the schedule.
        now_ms: the time at which it was taken.

    Raises:
        ConfigError: the pattern cannot be read.
    """
    schedule: Schedule = repeat.schedule
    if schedule.pattern is None:
        return None
    return schedule.match_after_ms(max(now_ms, repeat.previous_ms or 0))
