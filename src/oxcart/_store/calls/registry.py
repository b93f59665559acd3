"""The registry of a queue's workers: heartbeats, and the records of the workers behind them.

It is oxcart's own: two keys beside those of BullMQ, which its tools leave alone (wire format,
section 1.2).
"""

from __future__ import annotations

from typing import Any

import msgspec

from oxcart._model.clock import Clock
from oxcart._model.registry import RegisteredWorker, WorkerRecord
from oxcart._store.call import Call, script_call
from oxcart._wire.keys import QueueKeys

KEEP_MS = 24 * 3_600_000
"""How long the registry is kept when no worker is left to send a heartbeat."""


def beat(
    keys: QueueKeys, record: WorkerRecord, *, clock: Clock, missed_ms: int
) -> Call[list[RegisteredWorker]]:
    """Send a worker's heartbeat with its record.

    Args:
        keys: the queue.
        record: the worker.
        clock: the time instead of the server's.
        missed_ms: other workers without a heartbeat for so long are returned.

    Returns:
        A call that returns those workers; records that cannot be read are left out.
    """
    return _beat(keys, record.holder, msgspec.json.encode(record), clock, missed_ms)


def beat_for(keys: QueueKeys, holder: str, *, clock: Clock) -> Call[list[RegisteredWorker]]:
    """Send a heartbeat in place of a worker that cannot; without effect if it has left."""
    return _beat(keys, holder, b"", clock, KEEP_MS)


def remove_worker(keys: QueueKeys, holder: str) -> Call[None]:
    """Take a worker out of the registry."""
    return script_call(
        "remove_worker",
        (keys.workers, keys.beats),
        (holder,),
        lambda _: None,
        is_repeatable=True,
    )


def read_workers(keys: QueueKeys, *, clock: Clock) -> Call[list[RegisteredWorker]]:
    """Read the registered workers of a queue, the latest heartbeat first."""
    return script_call(
        "read_workers",
        (keys.workers, keys.beats),
        (clock.now_ms(),),
        lambda reply: _readable(tuple(row) for row in reply),
        is_repeatable=True,
    )


def _beat(
    keys: QueueKeys, holder: str, record: bytes, clock: Clock, missed_ms: int
) -> Call[list[RegisteredWorker]]:
    return script_call(
        "beat_worker",
        (keys.workers, keys.beats),
        (clock.now_ms(), holder, record, missed_ms, KEEP_MS),
        lambda reply: _readable((age, text) for _, age, text in reply),
        is_repeatable=True,
    )


def _readable(rows: Any) -> list[RegisteredWorker]:
    """The workers whose records can be read: a later release may write others."""
    found = []
    for age, text in rows:
        try:
            record = msgspec.json.decode(text, type=WorkerRecord)
        except msgspec.MsgspecError:
            continue
        found.append(RegisteredWorker(record=record, beat_age_ms=int(age)))
    return found
