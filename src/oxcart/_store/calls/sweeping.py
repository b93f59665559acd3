"""Removing many jobs: clean, drain and obliterate."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from oxcart._model.states import JobState
from oxcart._store.call import Call, script_call
from oxcart._wire.keys import LIST_STATES, STATE_SUFFIXES, QueueKeys

_GLOB = re.compile(r"[\\*?\[\]^-]")
SCAN = 1_000
"""How many ids one call looks at."""


@dataclass(frozen=True, slots=True)
class Swept:
    """What one call of a sweep did."""

    looked_at: int
    removed: tuple[str, ...]


def sweep(
    keys: QueueKeys,
    suffix: str,
    *,
    offset: int,
    limit: int,
    newest_ms: int | None,
    emits: bool,
    scan: int = SCAN,
) -> Call[Swept]:
    """Remove up to ``limit`` jobs of a state's list or set.

    Source: wire format, section 7.15.

    Args:
        keys: the queue.
        suffix: which list or set.
        offset: ids already looked at and kept.
        limit: how many to remove at the most.
        newest_ms: only jobs up to this time; ``None`` for all.
        emits: whether to emit ``cleaned``.
        scan: how many ids to look at.
    """
    return script_call(
        "sweep_jobs",
        (keys.base, keys.base + suffix),
        (
            _kind(suffix), offset, scan, limit, -1 if newest_ms is None else newest_ms,
            "1" if suffix == STATE_SUFFIXES[JobState.ACTIVE] else "0", "1" if emits else "0",
        ),
        _read_swept,
    )  # fmt: skip


def obliterate(keys: QueueKeys, *, count: int, is_forced: bool) -> Call[int]:
    """Remove a part of a paused queue with everything in it.

    Source: wire format, section 7.15.

    Returns:
        A call that answers 0 when all is gone, 1 to call again, -1 if the queue is not paused, -2
        if jobs are being run and it is not forced.
    """
    return script_call(
        "obliterate_queue",
        (keys.base,),
        (count, "1" if is_forced else "0"),
        int,
        is_repeatable=True,
    )


def remove_stray_jobs(keys: QueueKeys, cursor: str, *, count: int) -> Call[tuple[str, list[str]]]:
    """Remove jobs that are in no state, looking at a part of the key space.

    Returns:
        A call that answers where to go on, ``"0"`` at the end, and the ids removed.
    """

    def read(reply: list[bytes]) -> tuple[str, list[str]]:
        return reply[0].decode(), [job_id.decode(errors="replace") for job_id in reply[1:]]

    words = (cursor, count, _pattern(keys) + "*")
    return script_call("remove_stray_jobs", (keys.base,), words, read, is_repeatable=True)


def remove_private_keys(keys: QueueKeys, cursor: str, *, count: int) -> Call[str]:
    """Remove keys of our own, looking at a part of the key space.

    Returns:
        A call that answers where to go on, ``"0"`` at the end.
    """
    return script_call(
        "remove_private_keys",
        (keys.base,),
        (cursor, count, _pattern(keys)),
        lambda reply: reply.decode(),
        is_repeatable=True,
    )


def _pattern(keys: QueueKeys) -> str:
    """What a queue's keys start with, as SCAN has it."""
    return _GLOB.sub(lambda match: "\\" + match.group(), keys.base)


def _kind(suffix: str) -> str:
    lists = {STATE_SUFFIXES[state] for state in LIST_STATES} | {"paused"}
    if suffix in lists:
        return "list"
    by_score = (JobState.COMPLETED, JobState.FAILED, JobState.WAITING_CHILDREN)
    return "finished" if suffix in {STATE_SUFFIXES[state] for state in by_score} else "set"


def _read_swept(reply: list[Any]) -> Swept:
    return Swept(int(reply[0]), tuple(job_id.decode(errors="replace") for job_id in reply[1:]))
