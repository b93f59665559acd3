"""The states of a job and the moves between them, as one table.

A job is in exactly one state. Pausing a queue is not a state of its jobs.
"""

from __future__ import annotations

from enum import StrEnum


class JobState(StrEnum):
    """Where a job is. The values are what BullMQ's getters answer (wire format, section 12)."""

    WAITING = "waiting"
    """Ready to run, no priority."""
    PRIORITIZED = "prioritized"
    """Ready to run, with a priority: taken when nothing is waiting."""
    DELAYED = "delayed"
    """Due at a time: scheduled, or between two attempts."""
    ACTIVE = "active"
    """Held by a worker under a lock."""
    WAITING_CHILDREN = "waiting-children"
    """A parent of a flow whose children are not settled."""
    COMPLETED = "completed"
    """Ran to its end."""
    FAILED = "failed"
    """Failed for good: attempts used up, or a permanent failure."""
    UNKNOWN = "unknown"
    """Not in the queue."""

    @property
    def is_finished(self) -> bool:
        """Whether the job has come to its end."""
        return self in (JobState.COMPLETED, JobState.FAILED)


_READY = frozenset({JobState.WAITING, JobState.PRIORITIZED})

MOVES: dict[str, tuple[frozenset[JobState], frozenset[JobState]]] = {
    "add": (
        frozenset({JobState.UNKNOWN}),
        _READY | {JobState.DELAYED, JobState.WAITING_CHILDREN},
    ),
    "take": (_READY, frozenset({JobState.ACTIVE})),
    "complete": (frozenset({JobState.ACTIVE}), frozenset({JobState.COMPLETED, JobState.UNKNOWN})),
    "fail": (frozenset({JobState.ACTIVE}), frozenset({JobState.FAILED, JobState.UNKNOWN})),
    "retry": (frozenset({JobState.ACTIVE}), _READY | {JobState.DELAYED}),
    "delay": (frozenset({JobState.ACTIVE}), frozenset({JobState.DELAYED})),
    "give_back": (frozenset({JobState.ACTIVE}), _READY),
    "recover": (frozenset({JobState.ACTIVE}), frozenset({JobState.WAITING})),
    "promote": (frozenset({JobState.DELAYED}), _READY),
    "reprocess": (frozenset({JobState.COMPLETED, JobState.FAILED}), _READY),
    "remove": (
        frozenset(JobState) - {JobState.ACTIVE, JobState.UNKNOWN},
        frozenset({JobState.UNKNOWN}),
    ),
}
"""Each move with the states it may start from and end in (wire format, section 7.0)."""
