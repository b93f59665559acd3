"""The states of a job and the moves between them, as one table.

A job is in exactly one state. Pausing a queue is not a state of its jobs.
"""

from __future__ import annotations

from enum import StrEnum

from oxcart.errors import ConfigError


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


def state_of(name: JobState | str) -> JobState:
    """A state by its name.

    Raises:
        ConfigError: no state has this name.
    """
    try:
        return JobState(name)
    except ValueError:
        known = ", ".join(state.value for state in JobState if state is not JobState.UNKNOWN)
        raise ConfigError(f"{name!r} is no state of a job; there are: {known}") from None


def finished_state(name: JobState | str) -> JobState:
    """One of the two states in which a job has come to its end.

    Raises:
        ConfigError: it is another one.
    """
    state = state_of(name)
    if not state.is_finished:
        raise ConfigError(f"state is {state.value!r}; only completed and failed jobs are finished")
    return state


_READY = frozenset({JobState.WAITING, JobState.PRIORITIZED})
_ACTIVE = frozenset({JobState.ACTIVE})
_WAITING = frozenset({JobState.WAITING})
_DELAYED = frozenset({JobState.DELAYED})
_PARENTS = frozenset({JobState.WAITING_CHILDREN})
_FINISHED = frozenset({JobState.COMPLETED, JobState.FAILED})
_GONE = frozenset({JobState.UNKNOWN})

MOVES: dict[str, tuple[frozenset[JobState], frozenset[JobState]]] = {
    # by whoever adds
    "add": (_GONE, _READY | _DELAYED | _PARENTS),
    "reschedule": (_DELAYED, _DELAYED),  # a deduplicated add, to the job that holds the id
    "replace": (_DELAYED, _GONE),  # likewise
    # by workers
    "take": (_READY, _ACTIVE),
    "complete": (_ACTIVE, frozenset({JobState.COMPLETED}) | _GONE),
    "fail": (_ACTIVE, frozenset({JobState.FAILED}) | _GONE),
    "retry": (_ACTIVE, _READY | _DELAYED),
    "delay": (_ACTIVE, _DELAYED),
    "give_back": (_ACTIVE, _READY),  # a rate limit does the same
    "wait_for_children": (_ACTIVE, _PARENTS),
    "recover": (_ACTIVE, _WAITING),
    "fall_due": (_DELAYED, _READY),
    "prune": (_FINISHED, _GONE),
    # by a child that settles, is removed or fails
    "release": (_PARENTS, _READY | _DELAYED),
    "fail_parent": (_PARENTS | _DELAYED, _READY | _DELAYED),
    # by operators
    "promote": (_DELAYED, _READY),
    "promote_all": (_DELAYED, _WAITING),
    "change_delay": (_DELAYED, _DELAYED),
    "change_priority": (_READY, _READY),
    "cancel": (_READY | _DELAYED | _PARENTS, _WAITING),
    "reprocess": (_FINISHED, _READY),
    "reprocess_all": (_FINISHED, _WAITING),
    "remove": (frozenset(JobState) - _GONE, _GONE),  # active ones only once their lock is gone
    "obliterate": (frozenset(JobState) - _GONE, _GONE),
}
"""Each move with the states it may start from and end in (wire format, section 7.0)."""
