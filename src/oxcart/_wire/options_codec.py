"""A job's options as JSON text, with BullMQ's names.

Source: wire format, sections 2.2 and 9. No option is ever written as null: Node's scripts fail on
it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime
from functools import lru_cache
from typing import Any, TypeGuard

import msgspec

from oxcart._model.duration import to_ms
from oxcart._model.options import MAX_PRIORITY, Backoff, JobOptions, Retention

MAX_ATTEMPTS = 2**31
MAX_NUMBER = 2**53
"""What JavaScript counts exactly; a larger number is read as this one."""
MAX_AGE_S = MAX_NUMBER // 1_000

_DEFAULTS = JobOptions(attempts=0)
_decoder = msgspec.json.Decoder(dict[str, Any])


def encode_options(options: JobOptions) -> bytes:
    """Write the options as JSON text."""
    wire: dict[str, object] = {"attempts": options.attempts}
    for field, (name, encode) in _WIRE_NAMES.items():
        value = getattr(options, field)
        if value is not None and value != getattr(_DEFAULTS, field):
            wire[name] = encode(value)
    return msgspec.json.encode(wire)


@lru_cache(maxsize=1_024)  # most jobs of a queue share the same few texts
def decode_options(text: bytes) -> tuple[JobOptions, str | None]:
    """Read options written by anyone.

    Returns:
        The options that could be read, and what is wrong with the text, if something is. Nulls,
        unknown names and values that make no sense are passed over, as Node does.
    """
    if not text:
        return _DEFAULTS, None
    try:
        wire = _decoder.decode(text)
    except (msgspec.DecodeError, RecursionError, UnicodeError) as error:
        return _DEFAULTS, f"the job's opts are not a readable JSON object: {error}"
    values: dict[str, Any] = {
        "attempts": _whole(wire.get("attempts"), most=MAX_ATTEMPTS) or 0,
        "priority": _whole(wire.get("priority"), most=MAX_PRIORITY) or 0,
        "lifo": wire.get("lifo") is True,
        "backoff": _decode_backoff(wire.get("backoff")),
        "keep_completed": _decode_retention(wire.get("removeOnComplete")),
        "keep_failed": _decode_retention(wire.get("removeOnFail")),
        "stacktrace_limit": _whole(wire.get("stackTraceLimit")),
        "size_limit": _whole(wire.get("sizeLimit")),
        "log_limit": _whole(wire.get("kl")),
    }
    return JobOptions(**values), None


def epoch_ms(instant: datetime) -> int:
    """An aware instant as milliseconds since the epoch."""
    return round(instant.timestamp() * 1_000)


def approximate_delay_ms(delay: object) -> int:
    """The delay in ms; for an instant by this machine's clock: it is only shown, never used."""
    if isinstance(delay, datetime):
        return max(0, epoch_ms(delay) - round(time.time() * 1_000))
    return to_ms(delay, what="delay")  # type: ignore[arg-type]  # JobOptions has checked it


def _encode_backoff(backoff: Backoff) -> dict[str, object]:
    wire: dict[str, object] = {"type": backoff.kind, "delay": backoff.delay_ms}
    if backoff.jitter:
        wire["jitter"] = backoff.jitter
    return wire


def _decode_backoff(wire: object) -> Backoff | None:
    if _is_number(wire):
        return Backoff(kind="fixed", delay_ms=_whole(wire) or 0)
    if not isinstance(wire, dict) or wire.get("type") not in ("fixed", "exponential"):
        return None
    jitter = wire.get("jitter")
    return Backoff(
        kind=wire["type"],
        delay_ms=_whole(wire.get("delay")) or 0,
        jitter=float(jitter) if _is_number(jitter) and 0 <= jitter <= 1 else 0.0,
    )


def _encode_retention(keep: Retention) -> object:
    if keep.count == 0:
        return True
    if keep.age is None:
        return False if keep.count is None else keep.count
    wire: dict[str, object] = {"age": keep.age_seconds}
    if keep.count is not None:
        wire["count"] = keep.count
    return wire


def _decode_retention(wire: object) -> Retention | None:
    if wire is True:
        return Retention.NONE
    if wire is False:
        return Retention.ALL
    if _is_number(wire):
        return Retention(count=_whole(wire))  # a negative count keeps all
    if not isinstance(wire, dict):
        return None
    age = _whole(wire.get("age"), most=MAX_AGE_S)
    return Retention(count=_whole(wire.get("count")), age=None if age is None else f"{age}s")


def _whole(value: object, *, most: int = MAX_NUMBER) -> int | None:
    """A whole number, not more than ``most``; nothing for what is none, or is negative."""
    if not _is_number(value) or value < 0:
        return None
    return min(int(value), most)


def _is_number(value: object) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


_WIRE_NAMES: dict[str, tuple[str, Callable[[Any], object]]] = {
    "backoff": ("backoff", _encode_backoff),
    "delay": ("delay", approximate_delay_ms),
    "priority": ("priority", int),
    "lifo": ("lifo", bool),
    "job_id": ("jobId", str),
    "timestamp": ("timestamp", epoch_ms),
    "keep_completed": ("removeOnComplete", _encode_retention),
    "keep_failed": ("removeOnFail", _encode_retention),
    "stacktrace_limit": ("stackTraceLimit", int),
    "size_limit": ("sizeLimit", int),
    "log_limit": ("kl", int),
}
"""Each option with its name on the wire and how it is written; ``attempts`` is always there."""
