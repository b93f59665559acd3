"""Negative replies of the scripts and the errors they stand for.

Source: wire format, section 13.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum

from oxcart.errors import (
    ChildrenFailed,
    ChildrenPending,
    JobNotFound,
    JobNotInState,
    LockLost,
    LockMismatch,
    OxcartError,
    ParentConflict,
    UnknownCode,
)


class Code(IntEnum):
    """What a script answers instead of doing its work."""

    OK = 0
    JOB_MISSING = -1
    LOCK_MISSING = -2
    NOT_IN_STATE = -3
    PENDING_CHILDREN = -4
    PARENT_MISSING = -5
    LOCK_MISMATCH = -6
    PARENT_CONFLICT = -7
    SCHEDULER_JOB = -8
    FAILED_CHILDREN = -9
    SLOT_TAKEN = -10
    SLOTS_TAKEN = -11
    WRONG_TYPE = -101
    """Ours: a key of the parent's queue holds something else than it should."""
    TOO_MANY = -102
    """Ours: more descendants than one call removes."""


def error_of(code: int, *, job_id: str, queue: str, expected: str) -> OxcartError:
    """The error that a code stands for.

    Args:
        code: the script's negative reply.
        job_id: the job concerned.
        queue: its queue.
        expected: the state that the call needs, for the message.
    """
    kind = _PLAIN.get(code)
    if kind is not None:
        return kind(job_id=job_id, queue=queue)
    if code == Code.NOT_IN_STATE:
        return JobNotInState(job_id=job_id, queue=queue, expected=expected)
    if code == Code.SCHEDULER_JOB:
        return JobNotInState(
            job_id=job_id, queue=queue, expected="free of its scheduler (remove that instead)"
        )
    return UnknownCode(f"script answered {code} for job {job_id!r} of queue {queue!r}")


_PLAIN: dict[int, Callable[..., OxcartError]] = {
    Code.JOB_MISSING: JobNotFound,
    Code.LOCK_MISSING: LockLost,
    Code.LOCK_MISMATCH: LockMismatch,
    Code.PENDING_CHILDREN: ChildrenPending,
    Code.FAILED_CHILDREN: ChildrenFailed,
    Code.PARENT_CONFLICT: ParentConflict,
}
