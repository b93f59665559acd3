"""Negative replies of the scripts and the errors they stand for.

Source: wire format, section 13.
"""

from __future__ import annotations

from enum import IntEnum

from oxcart.errors import (
    JobNotFound,
    JobNotInState,
    LockLost,
    LockMismatch,
    OxcartError,
    UnknownCode,
)


class Code(IntEnum):
    """What a script answers instead of doing its work."""

    OK = 0
    JOB_MISSING = -1
    LOCK_MISSING = -2
    NOT_IN_STATE = -3
    PENDING_CHILDREN = -4
    LOCK_MISMATCH = -6
    SCHEDULER_JOB = -8


def error_of(code: int, *, job_id: str, queue: str, expected: str) -> OxcartError:
    """The error that a code stands for.

    Args:
        code: the script's negative reply.
        job_id: the job concerned.
        queue: its queue.
        expected: the state that the call needs, for the message.
    """
    match code:
        case Code.JOB_MISSING:
            return JobNotFound(job_id=job_id, queue=queue)
        case Code.LOCK_MISSING:
            return LockLost(job_id=job_id, queue=queue)
        case Code.LOCK_MISMATCH:
            return LockMismatch(job_id=job_id, queue=queue)
        case Code.NOT_IN_STATE:
            return JobNotInState(job_id=job_id, queue=queue, expected=expected)
        case Code.SCHEDULER_JOB:
            return JobNotInState(
                job_id=job_id, queue=queue, expected="free of its scheduler (remove that instead)"
            )
        case _:
            return UnknownCode(f"script answered {code} for job {job_id!r} of queue {queue!r}")
