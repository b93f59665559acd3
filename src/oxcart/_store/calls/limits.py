"""A queue's limits: global concurrency, rate limits, deduplication ids.

Source: wire format, sections 2.3, 7.3 and 7.13.
"""

from __future__ import annotations

import hashlib
from typing import Any

from oxcart._model.clock import Clock
from oxcart._model.links import RateLimit
from oxcart._store.call import Call, command, script_call
from oxcart._wire.keys import QueueKeys

USES_HASH_LENGTH = 32
MANUAL_LIMIT = 2**53 - 1
"""What the limiter key holds while a queue is held back on purpose."""


def set_concurrency(keys: QueueKeys, concurrency: int | None) -> Call[bool]:
    """Set or clear how many jobs of the queue run at a time; answers whether it was limited."""
    value = "" if concurrency is None else concurrency
    return _configure(keys, "concurrency", value)


def set_rate_limit(keys: QueueKeys, limit: RateLimit | None) -> Call[bool]:
    """Set or clear the queue's own rate limit: always both fields, never one alone.

    Answers whether there was one.
    """
    if limit is None:
        return _configure(keys, "max", "", "duration", "")
    return _configure(keys, "max", limit.max, "duration", limit.per_ms)


def limit_manually(keys: QueueKeys, for_ms: int) -> Call[Any]:
    """Hold all takes back for a time."""
    return command(("SET", keys.limiter, MANUAL_LIMIT, "PX", max(1, for_ms)), lambda reply: reply)


def lift_rate_limit(keys: QueueKeys) -> Call[bool]:
    """End the current rate window; answers whether there was one."""
    return script_call(
        "lift_rate_limit", (keys.base,), (), lambda reply: reply == 1, is_repeatable=True
    )


def read_window(keys: QueueKeys) -> tuple[Call[int], Call[int]]:
    """How many jobs were started in the current rate window, and its time left in ms.

    The second is -2 without a window and -1 for one that has no end.
    """
    return (
        command(("GET", keys.limiter), _started),
        command(("PTTL", keys.limiter), int),
    )


def get_deduplication_holder(keys: QueueKeys, deduplication_id: str) -> Call[str | None]:
    """The id of the job that holds a deduplication id."""
    return command(
        ("GET", keys.deduplication(deduplication_id)),
        lambda reply: None if reply is None else reply.decode(errors="replace"),
    )


def free_deduplication_id(keys: QueueKeys, deduplication_id: str) -> Call[bool]:
    """Free a deduplication id whoever holds it; answers whether somebody did."""
    return command(("DEL", keys.deduplication(deduplication_id)), lambda reply: reply == 1)


def release_deduplication_id(keys: QueueKeys, deduplication_id: str, job_id: str) -> Call[bool]:
    """Free a deduplication id if the job holds it; answers whether it did."""
    return script_call(
        "release_deduplication",
        (keys.deduplication(deduplication_id),),
        (job_id,),
        lambda reply: reply == 1,
        is_repeatable=True,
    )


def count_use(keys: QueueKeys, name: str, use: str, limit: RateLimit, *, clock: Clock) -> Call[int]:
    """Count one use of a name; answers 0, or for how many ms there is no room for another one."""
    # Hashed: the names of keys are shown by many tools, and this one may be an address.
    hashed = hashlib.sha256(name.encode(errors="replace"), usedforsecurity=False).hexdigest()
    return script_call(
        "count_use",
        (keys.private("uses", hashed[:USES_HASH_LENGTH]),),
        (clock.now_ms(), use, limit.max, limit.per_ms),
        int,
        is_repeatable=True,
    )


def _configure(keys: QueueKeys, *words: str | int) -> Call[bool]:
    return script_call(
        "configure_queue", (keys.base,), words, lambda reply: reply > 0, is_repeatable=True
    )


def _started(value: bytes | None) -> int:
    try:
        return int(value or 0)
    except ValueError:
        return 0
