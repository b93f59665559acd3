"""Reading jobs, states and counts.

Source: wire format, section 12.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from oxcart._model.job import JobRecord
from oxcart._model.json import JsonValue
from oxcart._model.states import JobState
from oxcart._store.call import Call, command, script_call
from oxcart._wire import fields
from oxcart._wire.codec import (
    decode_json_or_text,
    decode_stacktrace,
    mapping_of,
    pairs,
    read_job,
)
from oxcart._wire.keys import LIST_STATES, STATE_SUFFIXES, QueueKeys

T = TypeVar("T")

_PRIORITY_STEP = 2**32


@dataclass(frozen=True, slots=True)
class Result:
    """How far a job is.

    Attributes:
        state: ``COMPLETED``, ``FAILED``, ``UNKNOWN`` if it is gone, else ``WAITING``.
        value: its return value.
        reason: why it failed.
    """

    state: JobState
    value: JsonValue = None
    reason: str = ""


def get_job(keys: QueueKeys, job_id: str) -> Call[JobRecord | None]:
    """Read a job; answers ``None`` if there is none."""
    return _read_jobs(keys, (job_id,), lambda records: records[0])


def get_jobs(keys: QueueKeys, job_ids: Sequence[str]) -> Call[list[JobRecord | None]]:
    """Read jobs; answers ``None`` in the place of each that is not there."""
    return _read_jobs(keys, job_ids, lambda records: records)


def _read_jobs(
    keys: QueueKeys, job_ids: Sequence[str], give: Callable[[list[JobRecord | None]], T]
) -> Call[T]:
    def read(reply: list[list[bytes]]) -> T:
        raw = zip(job_ids, reply, strict=True)
        return give([read_job(job_id, pairs(flat)) if flat else None for job_id, flat in raw])

    return script_call("read_jobs", (keys.base,), tuple(job_ids), read, is_repeatable=True)


def get_states(keys: QueueKeys, job_ids: Sequence[str]) -> Call[list[JobState]]:
    """Read the state of each job."""
    return script_call(
        "read_states",
        (
            keys.completed, keys.failed, keys.delayed, keys.prioritized, keys.active, keys.wait,
            keys.paused, keys.waiting_children,
        ),
        tuple(job_ids),
        lambda reply: [JobState(state.decode()) for state in reply],
        is_repeatable=True,
    )  # fmt: skip


def get_result(keys: QueueKeys, job_id: str) -> Call[Result]:
    """Read whether a job is finished, and with what."""
    return script_call(
        "read_result",
        (keys.job(job_id), keys.completed, keys.failed),
        (job_id,),
        _read_result,
        is_repeatable=True,
    )


def get_traces(keys: QueueKeys, job_id: str) -> Call[tuple[str, ...]]:
    """Read the tracebacks of a job's attempts, the last one last. Source: wire format, section 2.1.

    The answer is empty if the job was removed.
    """
    return command(
        ("HGET", keys.job(job_id), fields.STACKTRACE),
        lambda reply: () if reply is None else decode_stacktrace(reply),
    )


def count_state(keys: QueueKeys, state: JobState) -> Call[int]:
    """Count the jobs of a state."""
    return command(("LLEN" if state in LIST_STATES else "ZCARD", keys.of_state(state)), int)


def count_set_aside(keys: QueueKeys) -> Call[int]:
    """Count the waiting jobs that BullMQ 5 set aside when it paused the queue."""
    return command(("LLEN", keys.paused), int)


def count_priority(keys: QueueKeys, priority: int) -> Call[int]:
    """Count the ready jobs of a priority (section 12.2)."""
    if priority == 0:
        return command(("LLEN", keys.wait), int)
    low = priority * _PRIORITY_STEP
    return command(("ZCOUNT", keys.prioritized, low, low + _PRIORITY_STEP - 1), int)


def range_of_state(
    keys: QueueKeys, state: JobState, *, start: int, end: int, ascending: bool
) -> Call[list[str]]:
    """Read the ids of a state (section 12.3).

    Args:
        keys: the queue.
        state: which state.
        start: first position, from 0.
        end: last position, inclusive; -1 for the last there is.
        ascending: lists from the end that is taken next, sets from the lowest score; else the
            other way round.
    """
    key = keys.of_state(state)
    if state not in LIST_STATES:
        return command(("ZRANGE" if ascending else "ZREVRANGE", key, start, end), _ids)
    if not ascending:
        return command(("LRANGE", key, start, end), _ids)
    # The take end is the right: count from there and turn the page round.
    first, last = (0 if end == -1 else -(end + 1)), -(start + 1)
    return command(("LRANGE", key, first, last), lambda reply: _ids(reply)[::-1])


def last_event_id(keys: QueueKeys) -> Call[str]:
    """The id of the stream's newest entry, ``0-0`` if there is none."""

    def read(reply: list[Any]) -> str:
        return reply[0][0].decode() if reply else "0-0"

    return command(("XREVRANGE", keys.events, "+", "-", "COUNT", 1), read)


def first_event_id(keys: QueueKeys) -> Call[str | None]:
    """The id of the stream's oldest entry, ``None`` if the stream is empty."""

    def read(reply: list[Any]) -> str | None:
        return reply[0][0].decode() if reply else None

    return command(("XRANGE", keys.events, "-", "+", "COUNT", 1), read)


def events_after(
    keys: QueueKeys, after: str, count: int
) -> Call[list[tuple[bytes, dict[bytes, bytes]]]]:
    """The stream's first entries behind an id, oldest first."""

    def read(reply: list[Any]) -> list[tuple[bytes, dict[bytes, bytes]]]:
        return [(entry_id, mapping_of(fields)) for entry_id, fields in reply]

    return command(("XRANGE", keys.events, f"({after}", "+", "COUNT", count), read)


def last_events(
    keys: QueueKeys, count: int, *, until: str = "+"
) -> Call[list[tuple[bytes, dict[bytes, bytes]]]]:
    """The stream's last entries up to an id, which is included, newest first."""

    def read(reply: list[Any]) -> list[tuple[bytes, dict[bytes, bytes]]]:
        return [(entry_id, mapping_of(fields)) for entry_id, fields in reply]

    return command(("XREVRANGE", keys.events, until, "-", "COUNT", count), read)


def server_time_ms() -> Call[int]:
    """The server's clock, in ms since the epoch."""

    def read(reply: list[Any]) -> int:
        return int(reply[0]) * 1_000 + int(reply[1]) // 1_000

    return command(("TIME",), read)


def exists(keys: QueueKeys) -> Call[bool]:
    """Ask whether anything of a queue is there: its settings, its counter or a job."""
    states = [keys.base + suffix for suffix in STATE_SUFFIXES.values()]
    return command(("EXISTS", keys.meta, keys.id, keys.paused, *states), bool)


def ping() -> Call[bool]:
    """Ask the server whether it is there."""
    return command(("PING",), bool)


def _ids(reply: list[bytes]) -> list[str]:
    return [job_id.decode(errors="replace") for job_id in reply]


def _read_result(reply: list[Any]) -> Result:
    match reply:
        case [1, value]:
            return Result(JobState.COMPLETED, decode_json_or_text(value))
        case [2, reason]:
            return Result(JobState.FAILED, reason=reason.decode(errors="replace"))
        case [-1]:
            return Result(JobState.UNKNOWN)
        case _:
            return Result(JobState.WAITING)
