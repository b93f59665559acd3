"""A job's options as JSON text, with BullMQ's names.

Source: wire format, sections 2.2 and 9. No option is ever written as null: Node's scripts fail on
it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, TypeGuard

import msgspec

from oxcart._model.clock import epoch_ms
from oxcart._model.duration import Duration, to_ms
from oxcart._model.links import PARENT_POLICIES, Deduplication, ParentPolicy, ParentRef
from oxcart._model.options import MAX_PRIORITY, Backoff, JobOptions, Retention
from oxcart.errors import ConfigError

MAX_ATTEMPTS = 2**31
MAX_NUMBER = 2**53
"""What JavaScript counts exactly; a larger number is read as this one."""
MAX_AGE_S = MAX_NUMBER // 1_000

POLICY_FLAGS: dict[ParentPolicy, str] = {
    "fail": "fpof", "continue": "cpof", "ignore": "idof", "remove": "rdof",
}  # fmt: skip
EXPIRE_AT, EXPIRE_AFTER = "expireAt", "expireAfter"
"""Ours: ms since the epoch, and ms since the job was made. BullMQ passes unknown names over."""

_DEDUPLICATION_FLAGS = {
    "extend": "extend", "replace": "replace", "reschedule": "reschedule",
    "keep_last_if_active": "keepLastIfActive",
}  # fmt: skip
_LAST_INSTANT_MS = 253_402_300_799_000
_DEFAULTS = JobOptions(attempts=0)
_decoder = msgspec.json.Decoder(dict[str, Any])


def encode_options(options: JobOptions, *, prefix: str) -> bytes:
    """Write the options as JSON text.

    Args:
        options: the job's options.
        prefix: that of its queue, for a parent that names none.
    """
    wire: dict[str, object] = {"attempts": options.attempts}
    for field, (name, encode) in _WIRE_NAMES.items():
        value = getattr(options, field)
        if value is not None and value != getattr(_DEFAULTS, field):
            wire[name] = encode(value)
    if options.parent is not None:
        wire["parent"] = {"id": options.parent.id, "queue": queue_key(options.parent, prefix)}
    if options.parent_on_failure is not None:
        wire[POLICY_FLAGS[options.parent_on_failure]] = True
    if options.expires is not None:
        wire.update(_encode_expiry(options.expires))
    return msgspec.json.encode(wire)


def encode_parent(parent: ParentRef, policy: ParentPolicy | None, *, prefix: str) -> bytes:
    """Write a job's ``parent`` field, whose flag decides when the job fails (8.1)."""
    wire: dict[str, object] = {"id": parent.id, "queueKey": queue_key(parent, prefix)}
    if policy is not None:
        wire[POLICY_FLAGS[policy]] = True
    return msgspec.json.encode(wire)


def queue_key(parent: ParentRef, prefix: str) -> str:
    """The qualified name of a parent's queue (1.1)."""
    return f"{parent.prefix or prefix}:{parent.queue}"


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
        "parent": _decode_parent(wire.get("parent")),
        "parent_on_failure": _decode_policy(wire),
        "expires": _decode_expiry(wire),
        "telemetry_metadata": _text_or_none(wire.get("tm")),
        "omit_telemetry_context": wire.get("omc") is True,
    }
    if values["parent"] is None:
        values["deduplication"] = _decode_deduplication(wire.get("de"))
    return JobOptions(**values), None


def read_delay_ms(raw: bytes | None) -> int:
    """The delay that a job was added with, in ms, from its options; 0 where they cannot be read."""
    try:
        return _whole(_decoder.decode(raw or b"{}").get("delay")) or 0
    except (msgspec.DecodeError, RecursionError, UnicodeError):
        return 0


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
    if not isinstance(wire, dict) or not isinstance(wire.get("type"), str) or not wire["type"]:
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
    if keep.age is None and keep.limit is None:
        return False if keep.count is None else keep.count
    members = {"age": keep.age_seconds, "count": keep.count, "limit": keep.limit}
    return {name: value for name, value in members.items() if value is not None}


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
    return Retention(
        count=_whole(wire.get("count")),
        age=None if age is None else f"{age}s",
        limit=_whole(wire.get("limit")) or None,
    )


def _encode_deduplication(dedup: Deduplication) -> dict[str, object]:
    wire: dict[str, object] = {"id": dedup.id}
    if dedup.ttl_ms is not None:
        wire["ttl"] = dedup.ttl_ms
    for field, name in _DEDUPLICATION_FLAGS.items():
        if getattr(dedup, field):
            wire[name] = True
    return wire


def _decode_deduplication(wire: object) -> Deduplication | None:
    if not isinstance(wire, dict) or not isinstance(wire.get("id"), str) or not wire["id"]:
        return None
    ttl = _whole(wire.get("ttl"))
    flags = {field: wire.get(name) is True for field, name in _DEDUPLICATION_FLAGS.items()}
    return Deduplication(id=wire["id"], ttl=f"{ttl}ms" if ttl else None, **flags)


def _decode_parent(wire: object) -> ParentRef | None:
    if not isinstance(wire, dict):
        return None
    job_id, qualified = wire.get("id"), wire.get("queue")
    if not isinstance(job_id, str) or not isinstance(qualified, str):
        return None
    prefix, _, queue = qualified.rpartition(":")
    try:
        return ParentRef(queue=queue, id=job_id, prefix=prefix or None)
    except ConfigError:
        return None


def _decode_policy(wire: dict[str, Any]) -> ParentPolicy | None:
    return next((name for name in PARENT_POLICIES if wire.get(POLICY_FLAGS[name]) is True), None)


def _encode_expiry(expires: Duration | datetime) -> dict[str, int]:
    if isinstance(expires, datetime):
        return {EXPIRE_AT: epoch_ms(expires)}
    return {EXPIRE_AFTER: to_ms(expires)}


def _decode_expiry(wire: dict[str, Any]) -> str | datetime | None:
    at, after = _whole(wire.get(EXPIRE_AT)), _whole(wire.get(EXPIRE_AFTER))
    if at is not None and at <= _LAST_INSTANT_MS:
        return datetime.fromtimestamp(at / 1_000, UTC)
    return None if after is None else f"{after}ms"


def _text_or_none(value: object) -> str | None:
    return value if isinstance(value, str) else None


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
    "deduplication": ("de", _encode_deduplication),
    "telemetry_metadata": ("tm", str),
    "omit_telemetry_context": ("omc", bool),
}
"""Options of one name on the wire, and how they are written; ``attempts`` is always there."""
