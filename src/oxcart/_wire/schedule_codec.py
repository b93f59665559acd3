"""Schedulers as they stand in Redis: their definitions, and what their jobs' options say of them.

Source: wire format, section 11.1. What cannot be read is told, never raised: anybody may have
written it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import msgspec

from oxcart._model.cron import LAST_MS
from oxcart._model.options import JobOptions
from oxcart._model.schedule import Schedule, SchedulerInfo
from oxcart._wire.codec import decode_json
from oxcart._wire.options_codec import decode_options, encode_options
from oxcart.errors import ConfigError, PayloadError

_PER_JOB = ("jobId", "timestamp", "delay", "prevMillis")
"""Options that each job of a scheduler has for itself."""

_decoder = msgspec.json.Decoder(dict[str, Any])


@dataclass(frozen=True, slots=True, kw_only=True)
class Repeat:
    """What a scheduler's job says of the schedule.

    Attributes:
        schedule: when its jobs are due.
        count: how many jobs there were with this one, since the scheduler was last upserted.
        previous_ms: the job's own time, if it is a pattern's.
        options: all of the job's options, as they are.
    """

    schedule: Schedule
    count: int
    previous_ms: int | None
    options: dict[str, Any]


def encode_template(options: JobOptions, *, prefix: str) -> dict[str, Any]:
    """The options that all jobs of a scheduler have, by BullMQ's names.

    A fixed wait without jitter is the number alone, and no attempts are left out, as BullMQ's own
    templates have it.
    """
    wire = _decoder.decode(encode_options(options, prefix=prefix))
    if not wire.get("attempts"):
        wire.pop("attempts", None)
    backoff = options.backoff
    if backoff is not None and backoff.kind == "fixed" and not backoff.jitter:
        wire["backoff"] = backoff.delay_ms
    return wire


def template_text(template: dict[str, Any]) -> bytes:
    """The options as they stand in the definition; empty for none."""
    return msgspec.json.encode(template) if template else b""


def first_options(template: dict[str, Any], schedule: Schedule, scheduler_id: str) -> bytes:
    """The options of the job that an upsert makes; see ``_up_to_the_time``."""
    options = template | {"repeat": _encode_repeat(schedule, 1), "repeatJobKey": scheduler_id}
    return _up_to_the_time(options, scheduler_id)


def next_options(repeat: Repeat, scheduler_id: str) -> bytes:
    """The options of the job after one that was taken; see ``_up_to_the_time``."""
    options = {
        name: value
        for name, value in repeat.options.items()
        if name not in _PER_JOB and value is not None
    }
    options["repeat"] = {**options["repeat"], "count": repeat.count + 1}
    options.setdefault("attempts", 0)
    return _up_to_the_time(options, scheduler_id)


def definition_fields(schedule: Schedule) -> dict[str, str | int]:
    """The fields of a definition that say when the jobs are due, but for the offset."""
    fields = {
        "tz": schedule.tz, "limit": schedule.limit, "pattern": schedule.pattern,
        "startDate": schedule.start_ms, "endDate": schedule.end_ms, "every": schedule.every_ms,
    }  # fmt: skip
    return {name: value for name, value in fields.items() if value is not None}


def read_repeat(text: bytes) -> Repeat:
    """Read what the options of a scheduler's job say of the schedule.

    Raises:
        ConfigError: they say nothing, or nothing that makes sense.
    """
    try:
        options = _decoder.decode(text)
    except (msgspec.DecodeError, RecursionError, UnicodeError) as error:
        raise ConfigError(f"its options are not a readable JSON object: {error}") from error
    repeat = options.get("repeat")
    if not isinstance(repeat, dict):
        raise ConfigError("its options have no readable 'repeat'")
    return Repeat(
        schedule=_read_schedule(repeat),
        count=_whole(repeat.get("count")) or 1,
        previous_ms=_whole(options.get("prevMillis")),
        options=options,
    )


def repeat_of_definition(scheduler_id: str, slot_ms: int, raw: Mapping[bytes, bytes]) -> Repeat:
    """What a scheduler's pending job, which is gone, must have said of the schedule.

    Args:
        scheduler_id: the scheduler's id.
        slot_ms: the pending job's time.
        raw: the scheduler's fields.

    Raises:
        ConfigError: the definition cannot be read, or it is one of BullMQ 5, whose payload went
            with the job.
    """
    fields = {name.decode(errors="replace"): _text(value) for name, value in raw.items()}
    if "ic" not in fields:
        raise ConfigError("it is a repeatable job of BullMQ 5, and its pending job is gone")
    schedule = _read_schedule(fields)
    try:
        template = _decoder.decode(raw.get(b"opts") or b"{}")
    except (msgspec.DecodeError, RecursionError, UnicodeError) as error:
        raise ConfigError(f"its options are not a readable JSON object: {error}") from error
    count = _whole(fields.get("ic")) or 1
    rule = {"repeat": _encode_repeat(schedule, count), "repeatJobKey": scheduler_id}
    return Repeat(
        schedule=schedule,
        count=count,
        previous_ms=None if schedule.pattern is None else slot_ms,
        options=template | rule,
    )


def read_scheduler(scheduler_id: str, due: bytes, raw: Mapping[bytes, bytes]) -> SchedulerInfo:
    """Read a definition. What cannot be read is told in ``problem``, never raised.

    An entry of the oldest kind has no fields: its id says what the others keep in them.
    """
    raw = raw or _fields_of_oldest(scheduler_id)
    fields = {name.decode(errors="replace"): _text(value) for name, value in raw.items()}
    options, problem = decode_options(raw.get(b"opts", b""))
    problems = [problem] if problem else []
    schedule, data = None, None
    try:
        schedule = _read_schedule(fields)
    except ConfigError as error:
        problems.append(str(error))
    try:
        data = decode_json(raw.get(b"data", b"{}"), what="the scheduler's data")
    except PayloadError as error:
        problems.append(str(error))
    return SchedulerInfo(
        id=scheduler_id,
        name=fields.get("name", ""),
        next_at_ms=_whole(_text(due)) or 0,
        iterations=_whole(fields.get("ic")) or 0,
        schedule=schedule,
        offset_ms=_whole(fields.get("offset")),
        data=data,
        options=options,
        is_legacy="ic" not in fields,
        problem="; ".join(problems) or None,
    )


def _fields_of_oldest(scheduler_id: str) -> dict[bytes, bytes]:
    """The fields of a repeatable entry of the oldest kind (section 14)."""
    name, _, end, tz, schedule = scheduler_id.split(":", 4)
    kind = "every" if schedule.isdigit() else "pattern"
    fields = {"name": name, "endDate": end, "tz": tz, kind: schedule}
    return {key.encode(): value.encode() for key, value in fields.items() if value}


def _up_to_the_time(options: dict[str, Any], scheduler_id: str) -> bytes:
    """JSON text of options that ends within the job's id, where its time comes.

    The script that chooses the time writes the rest: the time, and the options of this job alone.
    """
    head = msgspec.json.encode(options)[:-1]
    return head + b',"jobId":"repeat:' + msgspec.json.encode(scheduler_id)[1:-1] + b":"


def _encode_repeat(schedule: Schedule, count: int) -> dict[str, object]:
    repeat: dict[str, object] = {**definition_fields(schedule), "count": count}
    if schedule.offset_ms:
        repeat["offset"] = schedule.offset_ms
    return repeat


def _read_schedule(wire: Mapping[str, Any]) -> Schedule:
    """Read a schedule; of options that exclude each other the first one counts.

    Raises:
        ConfigError: there is none.
    """
    start, end = _instant(wire.get("startDate")), _instant(wire.get("endDate"))
    common: dict[str, Any] = {
        "start": start,
        "end": end if start is None or end is None or end > start else None,
        "limit": _whole(wire.get("limit")) or None,
    }
    pattern, tz = wire.get("pattern"), wire.get("tz")
    if isinstance(pattern, str) and pattern:
        zone = tz if isinstance(tz, str) and tz else None
        return Schedule(pattern=pattern, tz=zone, **common)
    every = _whole(wire.get("every"))
    if not every:
        raise ConfigError("it has neither an interval nor a cron pattern")
    offset = 0 if start else (_whole(wire.get("offset")) or 0) % every
    return Schedule(interval=f"{every}ms", offset=f"{offset}ms" if offset else None, **common)


def _instant(wire: object) -> datetime | None:
    ms = _whole(wire)
    return None if not ms else datetime.fromtimestamp(min(ms, LAST_MS) / 1_000, UTC)


def _whole(value: object) -> int | None:
    """A whole number from 0 of a number or its text; nothing for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = int(float(value)) if not isinstance(value, int) else value
    except (ValueError, OverflowError):
        return None
    return number if 0 <= number <= 2**53 else None


def _text(value: bytes) -> str:
    return value.decode(errors="replace")
