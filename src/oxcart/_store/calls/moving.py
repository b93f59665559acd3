"""Moving and removing single jobs, and putting back all finished ones."""

from __future__ import annotations

from typing import Any

from oxcart._model.states import JobState
from oxcart._store.call import Call, script_call
from oxcart._wire.keys import QueueKeys


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


def reprocess(keys: QueueKeys, job_id: str, state: JobState, *, resets_attempts: bool) -> Call[int]:
    """Put a finished job back to be run; answers a code. Source: wire format, section 7.14."""
    return script_call(
        "reprocess_job",
        (
            keys.job(job_id), keys.of_state(state), keys.wait, keys.active, keys.prioritized,
            keys.marker, keys.meta, keys.priority_counter, keys.events,
        ),
        (job_id, state.value, "1" if resets_attempts else "0"),
        int,
    )  # fmt: skip


def reprocess_all(
    keys: QueueKeys, state: JobState, *, count: int, finished_until_ms: int
) -> Call[tuple[int, bool]]:
    """Put a batch of finished jobs back to wait.

    Source: wire format, section 7.14.

    Returns:
        A call that answers how many were put back, and whether there may be more.
    """
    return script_call(
        "reprocess_jobs",
        (
            keys.base, keys.of_state(state), keys.wait, keys.active, keys.marker, keys.meta,
            keys.events,
        ),
        (state.value, count, finished_until_ms),
        _read_batch,
    )  # fmt: skip


def remove(keys: QueueKeys, job_id: str) -> Call[int]:
    """Remove a job wherever it is.

    Source: wire format, section 7.15.

    Returns:
        A call that answers 1 removed or never there, 0 locked by a worker, -8 a scheduler's.
    """
    return script_call(
        "remove_job",
        (keys.job(job_id), keys.lock(job_id), keys.base, keys.repeat, keys.meta, keys.events),
        (job_id,),
        int,
        is_repeatable=True,
    )


def _read_batch(reply: list[Any]) -> tuple[int, bool]:
    return int(reply[0]), reply[1] == 1
