# Generated from src/oxcart/_queue/schedulers.py by scripts/generate-sync: change that one.
"""Schedulers: jobs made again and again, at intervals or at the times of a cron pattern."""

from __future__ import annotations

from typing import Any

from oxcart._model.job import JobRecord, JobSpec
from oxcart._model.json import JsonValue
from oxcart._model.options import JobOptions, job_options
from oxcart._model.schedule import Schedule, SchedulerInfo, check_scheduler_id
from oxcart._store.calls import scheduling
from oxcart._store.calls.scheduling import EncodedScheduler, Upserted
from oxcart._sync.base import QueueBase
from oxcart._sync.job import Job
from oxcart._wire.codes import Code
from oxcart.errors import ConfigError, JobError

_REFUSED = {
    "job_id": "each job of a scheduler has an id that tells its time",
    "delay": "the schedule says when its jobs are due",
    "timestamp": "its jobs count as made when they are made",
    "parent": "its jobs are made one after another, and a parent waits once",
    "deduplication": "a scheduler has one pending job at a time by itself",
    "expires": "its jobs are made long before they are due",
}
_MOST_SLOTS = 32
"""How many times of a pattern are tried before one is found that has no job yet."""


class QueueSchedulers(QueueBase):
    """The schedulers of a queue."""

    def upsert_scheduler(
        self,
        scheduler_id: str,
        schedule: Schedule,
        name: str,
        data: JsonValue | None = None,
        **options: Any,
    ) -> Job[JsonValue]:
        """Make a scheduler, or change the one with this id.

        A scheduler has one pending job. When a worker takes it, the next one is made, before the
        first one runs: a job that fails or takes long holds up nothing. Upserting replaces the
        pending job, so that it may be done at each start of a program: with the same interval the
        pending job keeps its time.

        Args:
            scheduler_id: the scheduler's id; it may hold ``:``.
            schedule: when its jobs are due.
            name: which handler runs them.
            data: their payload; nothing means ``{}``.
            **options: see ``JobOptions``; ``job_id``, ``delay``, ``timestamp``, ``expires``,
                ``deduplication`` and a parent make no sense here and are refused. A
                ``parent_on_failure`` is kept, as other programs may have set it, and has no effect.

        Returns:
            The pending job.

        Raises:
            ConfigError: an option or the id is wrong, or the schedule is over.
            PayloadError: JSON cannot hold the data, or it is over the size limit.
            JobError: the next 32 times of the schedule all have a job already.
            StoreUnavailable: the server cannot be reached.
        """
        check_scheduler_id(scheduler_id)
        if not isinstance(schedule, Schedule):
            raise ConfigError(
                f"the schedule of scheduler {scheduler_id!r} is {schedule!r}; make it by "
                "Schedule.every('1h') or Schedule.cron('0 8 * * *')"
            )
        template = _template_of(scheduler_id, options)
        spec = JobSpec(name=name, data={} if data is None else data, options=template)
        encoded = scheduling.encode_scheduler(scheduler_id, schedule, spec)
        upserted = self._upsert(encoded)
        return self._bind(_record_of(encoded, spec, upserted))

    def remove_scheduler(self, scheduler_id: str) -> bool:
        """Remove a scheduler, and its pending job if that is still delayed.

        A pending job that is ready or running runs once more.

        Returns:
            Whether there was one.
        """
        return self._write(scheduling.remove_scheduler(self._keys, scheduler_id))

    def get_scheduler(self, scheduler_id: str) -> SchedulerInfo | None:
        """Read a scheduler; ``None`` if there is none with this id."""
        return self._store.run(scheduling.get_scheduler(self._keys, scheduler_id))

    def get_schedulers(
        self, *, start: int = 0, end: int = -1, ascending: bool = False
    ) -> list[SchedulerInfo]:
        """Read a page of the schedulers, and of the repeatable jobs that older BullMQ made.

        Those of the oldest kind have the id ``name:id:end:zone:pattern``, which says all that is
        known of them, and by which ``remove_scheduler`` removes them.

        Args:
            start: first position, from 0.
            end: last position, inclusive; -1 for the last there is.
            ascending: the one whose job is due soonest first; else the latest first.
        """
        call = scheduling.get_schedulers(self._keys, start=start, end=end, ascending=ascending)
        return self._store.run(call)

    def count_schedulers(self) -> int:
        """How many schedulers there are."""
        return self._store.run(scheduling.count_schedulers(self._keys))

    def _upsert(self, encoded: EncodedScheduler) -> Upserted:
        schedule = encoded.schedule
        # The scripts know no cron patterns, so the server's time is needed here.
        now_ms = 0
        if schedule.pattern is not None or schedule.end_ms is not None:
            now_ms = self._now_ms()
        if schedule.end_ms is not None and schedule.end_ms <= now_ms:
            raise ConfigError(f"end is {schedule.end}, which is over; nothing was changed")
        due_ms = self._first_ms(schedule, now_ms)
        for _ in range(_MOST_SLOTS):
            call = scheduling.upsert_scheduler(
                self._keys, encoded, due_ms=due_ms, clock=self._clock
            )
            answer = self._write(call)
            if isinstance(answer, Upserted):
                return answer
            if answer is not Code.SLOT_TAKEN or due_ms is None:
                break
            due_ms = self._pattern_ms(schedule, due_ms)
        raise JobError(
            f"the next {_MOST_SLOTS} times of scheduler {encoded.id!r} all have a job already; "
            "nothing was changed",
            job_id=encoded.id,
            queue=self.name,
        )

    def _first_ms(self, schedule: Schedule, now_ms: int) -> int | None:
        if schedule.pattern is None:
            return None
        return now_ms if schedule.immediately else self._pattern_ms(schedule, now_ms)

    def _pattern_ms(self, schedule: Schedule, after_ms: int) -> int:
        found = schedule.match_after_ms(after_ms)
        if found is None:
            raise ConfigError(
                f"the pattern {schedule.pattern!r} names no time before the schedule's end, "
                f"{schedule.end}; nothing was changed"
            )
        return found


def _template_of(scheduler_id: str, options: dict[str, Any]) -> JobOptions:
    """The options of a scheduler's jobs.

    Raises:
        ConfigError: one of them makes no sense for jobs that are made again and again.
    """
    for name, reason in _REFUSED.items():
        if options.get(name) is not None:
            raise ConfigError(f"{name} cannot be given to scheduler {scheduler_id!r}: {reason}")
    return job_options(**options)


def _record_of(encoded: EncodedScheduler, spec: JobSpec, upserted: Upserted) -> JobRecord:
    return JobRecord(
        id=f"repeat:{encoded.id}:{upserted.due_ms}",
        name=spec.name,
        data=spec.data,
        options=spec.options,
        created_at_ms=upserted.now_ms,
        delay_ms=upserted.delay_ms,
        priority=spec.options.priority,
        scheduler_id=encoded.id,
    )
