"""Schedulers: making, changing, removing and reading them, and making their next jobs."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from typing import Any

from oxcart._model.clock import Clock
from oxcart._model.job import JobSpec
from oxcart._model.schedule import Schedule, SchedulerInfo
from oxcart._store.call import Call, Word, command, script_call
from oxcart._store.calls.adding import encode_data
from oxcart._wire.codec import encode_job_name, encode_text, pairs
from oxcart._wire.codes import Code
from oxcart._wire.keys import QueueKeys
from oxcart._wire.schedule_codec import (
    Repeat,
    definition_fields,
    encode_template,
    first_options,
    next_options,
    read_scheduler,
    template_text,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class EncodedScheduler:
    """A scheduler ready to be sent.

    Attributes:
        id: the scheduler's id.
        schedule: when its jobs are due.
        words: what the script is given of the jobs: name, data, options, priority, side.
        fields: the definition's fields, each followed by its value.
    """

    id: str
    schedule: Schedule
    words: tuple[Word, ...]
    fields: tuple[Word, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Upserted:
    """A scheduler's pending job as an upsert made it.

    Attributes:
        now_ms: the time of the upsert, by the server's clock.
        due_ms: when the job is due.
        delay_ms: how long that is.
    """

    now_ms: int
    due_ms: int
    delay_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Overdue:
    """A scheduler whose pending job was taken, or is gone, and has no successor.

    Attributes:
        id: the scheduler's id.
        slot_ms: the time of its pending job.
        options: that job's options; empty if the job is gone.
        definition: the scheduler's fields.
    """

    id: str
    slot_ms: int
    options: bytes
    definition: dict[bytes, bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class SchedulerCheck:
    """What a look at the schedulers found.

    Attributes:
        has_schedulers: whether there are any.
        now_ms: the server's clock.
        next_due_ms: when the earliest delayed job is due.
        overdue: schedulers that may need their next job; none if another worker has just looked.
    """

    has_schedulers: bool
    now_ms: int
    next_due_ms: int | None
    overdue: tuple[Overdue, ...]


class Next(Enum):
    """What became of the job after one that was taken."""

    MADE = 1
    NOT_PENDING = 0
    """The job has one already, or its scheduler is gone."""
    DUPLICATE = 2
    UNREADABLE = -1


def encode_scheduler(scheduler_id: str, schedule: Schedule, spec: JobSpec) -> EncodedScheduler:
    """Write a scheduler as the script's arguments.

    Args:
        scheduler_id: its id.
        schedule: when its jobs are due.
        spec: what they are like.

    Raises:
        PayloadError: JSON cannot hold the data, it is longer than the ``size_limit``, or a text
            cannot be written as UTF-8.
    """
    options = spec.options
    what = f"the data of scheduler {scheduler_id!r}"
    data = encode_data(spec, what=what, kept="nothing was changed")
    encode_text(scheduler_id, what="the scheduler's id")
    template = encode_template(options, prefix="")  # a template has no parent
    fields: list[Word] = []
    for name, value in definition_fields(schedule).items():
        fields += [name, value]
    if template:
        fields += ["opts", template_text(template)]
    if data != b"{}":
        fields += ["data", data]
    return EncodedScheduler(
        id=scheduler_id,
        schedule=schedule,
        words=(
            encode_job_name(spec.name), data,
            first_options(template, schedule, scheduler_id), options.priority,
            "1" if options.lifo else "0",
        ),
        fields=tuple(fields),
    )  # fmt: skip


def upsert_scheduler(
    keys: QueueKeys, scheduler: EncodedScheduler, *, due_ms: int | None, clock: Clock
) -> Call[Upserted | Code]:
    """Make or change a scheduler, and its pending job with it.

    Source: wire format, section 11.2.

    Args:
        keys: the queue.
        scheduler: the scheduler.
        due_ms: a pattern's next time; ``None`` for an interval, whose slot the script chooses.
        clock: what the time is.

    Returns:
        A call that answers the pending job, or the code of a refusal.
    """
    schedule = scheduler.schedule
    given: list[Word] = [
        clock.now_ms(), scheduler.id, _or_empty(schedule.every_ms), _or_empty(due_ms),
        "" if schedule.offset is None else schedule.offset_ms, _or_empty(schedule.start_ms),
    ]  # fmt: skip
    return script_call(
        "upsert_scheduler",
        (keys.base, keys.scheduler(scheduler.id)),
        [*given, *scheduler.words, *scheduler.fields],
        _read_upserted,
        is_repeatable=True,
    )


def make_next_iteration(
    keys: QueueKeys,
    scheduler_id: str,
    taken_id: str,
    repeat: Repeat,
    *,
    due_ms: int | None,
    priority: int,
    lifo: bool,
    clock: Clock,
) -> Call[Next]:
    """Make the job after a scheduler's job that was taken.

    Source: wire format, section 11.3.

    Args:
        keys: the queue.
        scheduler_id: the scheduler.
        taken_id: the job that was taken.
        repeat: what that job says of the schedule.
        due_ms: a pattern's next time; ``None`` for an interval.
        priority: the job's.
        lifo: whether the job runs next once it is due.
        clock: what the time is.
    """
    return script_call(
        "make_next_iteration",
        (keys.base, keys.scheduler(scheduler_id)),
        (
            clock.now_ms(), scheduler_id, taken_id, _or_empty(repeat.schedule.every_ms),
            _or_empty(due_ms), next_options(repeat, scheduler_id), priority, "1" if lifo else "0",
        ),
        lambda reply: Next(int(reply[0])),
        is_repeatable=True,
    )  # fmt: skip


def find_overdue_schedulers(
    keys: QueueKeys, *, interval_ms: int, grace_ms: int, limit: int, clock: Clock
) -> Call[SchedulerCheck]:
    """Find schedulers whose pending job was taken, or is gone, and has no successor.

    Source: wire format, section 11.3; the look itself is ours.

    Args:
        keys: the queue.
        interval_ms: one worker of the fleet looks in this time.
        grace_ms: how long the worker that took a job has for making the next one.
        limit: how many schedulers are looked at.
        clock: what the time is.
    """
    return script_call(
        "find_overdue_schedulers",
        (keys.base, keys.private("check", "schedulers")),
        (clock.now_ms(), interval_ms, grace_ms, limit),
        _read_check,
    )


def remove_scheduler(keys: QueueKeys, scheduler_id: str) -> Call[bool]:
    """Remove a scheduler; answers whether there was one. Source: wire format, section 11.5."""
    return script_call(
        "remove_scheduler",
        (keys.base, keys.scheduler(scheduler_id)),
        (scheduler_id,),
        lambda reply: reply == 1,
    )


def get_scheduler(keys: QueueKeys, scheduler_id: str) -> Call[SchedulerInfo | None]:
    """Read a scheduler. Source: wire format, section 12."""
    return script_call(
        "read_schedulers",
        (keys.repeat,),
        ("1", scheduler_id, "", "0"),
        lambda reply: next(iter(_read_schedulers(reply)), None),
        is_repeatable=True,
    )


def get_schedulers(
    keys: QueueKeys, *, start: int, end: int, ascending: bool
) -> Call[list[SchedulerInfo]]:
    """Read a page of the schedulers. Source: wire format, section 12."""
    return script_call(
        "read_schedulers",
        (keys.repeat,),
        ("0", start, end, "1" if ascending else "0"),
        _read_schedulers,
        is_repeatable=True,
    )


def count_schedulers(keys: QueueKeys) -> Call[int]:
    """How many schedulers there are."""
    return command(("ZCARD", keys.repeat), int)


def _or_empty(number: int | None) -> Word:
    return "" if number is None else number


def _read_upserted(reply: Sequence[Any]) -> Upserted | Code:
    if len(reply) == 1:
        return Code(int(reply[0]))
    now, due, delay = (int(value) for value in reply)
    return Upserted(now_ms=now, due_ms=due, delay_ms=delay)


def _read_schedulers(reply: Sequence[Any]) -> list[SchedulerInfo]:
    return [
        read_scheduler(scheduler_id.decode(errors="replace"), due, pairs(flat))
        for scheduler_id, due, flat in reply
    ]


def _read_check(reply: Sequence[Any]) -> SchedulerCheck:
    has_schedulers, now, due, found = reply
    overdue = []
    for scheduler_id, slot, options, definition in found:
        # An id that is not UTF-8 cannot be sent back.
        with suppress(UnicodeDecodeError):
            overdue.append(
                Overdue(
                    id=scheduler_id.decode(), slot_ms=int(slot), options=options,
                    definition=pairs(definition),
                )
            )  # fmt: skip
    return SchedulerCheck(
        has_schedulers=has_schedulers == 1,
        now_ms=int(now),
        next_due_ms=None if due == b"-1" else int(due),
        overdue=tuple(overdue),
    )
