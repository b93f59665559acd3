"""Moving, cancelling and removing single jobs, and putting back all of a state."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from oxcart._model.clock import Clock, epoch_ms
from oxcart._model.duration import Duration, to_ms
from oxcart._model.states import JobState
from oxcart._store.call import Call, script_call
from oxcart._wire.keys import QueueKeys

DELAYED_STEP = 4_096
"""A delayed job's score is its due time in ms, times this (wire format, section 4.1)."""
CANCEL_MS = 3_600_000
"""How long a request to cancel a running job is kept."""


def promote(keys: QueueKeys, job_id: str) -> Call[int]:
    """Make a delayed job ready now; answers a code. Source: wire format, section 7.8."""
    return script_call(
        "promote_job",
        (
            keys.job(job_id), keys.wait, keys.active, keys.prioritized, keys.delayed, keys.marker,
            keys.meta, keys.priority_counter, keys.events,
        ),
        (job_id,),
        int,
    )  # fmt: skip


def change_delay(
    keys: QueueKeys, job_id: str, delay: Duration | datetime, *, clock: Clock
) -> Call[int]:
    """Change when a delayed job is due; answers a code. Source: wire format, section 7.8."""
    is_instant = isinstance(delay, datetime)
    return script_call(
        "change_delay",
        (keys.base,),
        (
            clock.now_ms(),
            job_id,
            "" if is_instant else to_ms(delay, what="delay"),  # type: ignore[arg-type]
            epoch_ms(delay) if isinstance(delay, datetime) else "",
        ),
        int,
    )


def change_priority(keys: QueueKeys, job_id: str, priority: int, *, lifo: bool) -> Call[int]:
    """Change a job's priority; answers a code. Source: wire format, section 7.9."""
    return script_call(
        "change_priority", (keys.base,), (job_id, priority, "1" if lifo else "0"), int
    )


def reprocess(keys: QueueKeys, job_id: str, state: JobState, *, resets_attempts: bool) -> Call[int]:
    """Put a finished job back to be run; answers a code. Source: wire format, section 7.14."""
    return script_call(
        "reprocess_job", (keys.base,), (job_id, state.value, "1" if resets_attempts else "0"), int
    )


def reprocess_all(
    keys: QueueKeys, state: JobState, *, count: int, until_ms: int
) -> Call[tuple[int, bool]]:
    """Put a batch of finished or delayed jobs back to wait.

    Source: wire format, sections 7.8 and 7.14.

    Args:
        keys: the queue.
        state: which state.
        count: how many at the most.
        until_ms: only those finished, or due, by then.

    Returns:
        A call that answers how many were put back, and whether there may be more.
    """
    most = (until_ms + 1) * DELAYED_STEP - 1 if state is JobState.DELAYED else until_ms
    return script_call("reprocess_jobs", (keys.base,), (state.value, count, most), _read_batch)


def cancel(keys: QueueKeys, job_id: str, reason: str) -> Call[int]:
    """Cancel a job.

    Returns:
        A call that answers 0 if it will fail unrun, 1 if it is being run and its worker was told,
        or a code.
    """
    return script_call(
        "cancel_job",
        (keys.base, keys.private("cancel", "requests")),
        (job_id, reason.encode(errors="replace"), CANCEL_MS),
        int,
        is_repeatable=True,
    )


def remove(keys: QueueKeys, job_id: str, *, with_children: bool) -> Call[int]:
    """Remove a job wherever it is.

    Source: wire format, section 7.15.

    Returns:
        A call that answers 1 removed or never there, 0 locked by a worker, or a code.
    """
    return script_call(
        "remove_job",
        (keys.base,),
        (job_id, "1" if with_children else "0"),
        int,
        is_repeatable=True,
    )


def _read_batch(reply: list[Any]) -> tuple[int, bool]:
    return int(reply[0]), reply[1] == 1
