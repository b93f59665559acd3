"""What becomes of a message when its job was run: pure decisions.

A message stays in the queue until Lambda is told that it is done with. One that is not comes back
after its visibility time-out, which is set to the wait that the job asks for.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from oxcart._model.options import JobOptions
from oxcart._model.outcome import (
    Completed,
    Delayed,
    Failed,
    Outcome,
    RateLimited,
    Retried,
    WaitingForChildren,
)

SPARE_RECEIVES = 3
"""How often a job may be received beyond its attempts: when the function ended before it ran."""
MAX_VISIBILITY_S = 43_200
"""How long SQS hides a message at the most, counted from its receiving: 12 hours."""
LONGEST_FUNCTION_S = 900
NO_FLOWS = "the handler waits for children, and jobs in SQS have none (OXCART_BROKER=sqs)"


@dataclass(frozen=True, slots=True)
class Done:
    """The message is deleted."""


@dataclass(frozen=True, slots=True)
class Again:
    """The message comes back.

    Attributes:
        after_s: after how long.
        reason: why, for the log.
    """

    after_s: int
    reason: str


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """The message goes to the dead-letter queue.

    Attributes:
        reason: why.
    """

    reason: str


Verdict = Done | Again | DeadLetter
GIVEN_BACK = Again(0, "given back")
"""The function has no time for it, or a job before it in its group failed."""


def attempts_made(receive_count: int, options: JobOptions) -> int:
    """How many attempts count as made before this one.

    A job that was received more often than it may be run was given back unrun, or its function was
    killed: it gets its last attempt all the same; see ``is_hopeless``.
    """
    return min(receive_count, options.max_attempts) - 1


def is_hopeless(receive_count: int, options: JobOptions) -> bool:
    """Whether a job was received so often that it is not run again: it may kill its function."""
    return receive_count > options.max_attempts + SPARE_RECEIVES


def hopeless_reason(receive_count: int) -> str:
    """Why such a job failed."""
    return (
        f"received {receive_count} times and never finished: its function was killed while it ran "
        "(time-out, memory), or had no time left for it"
    )


def verdict_of(outcome: Outcome) -> Verdict:
    """What becomes of a message by the outcome of its job's run."""
    match outcome:
        case Completed():
            return Done()
        case Failed(reason=reason):
            return DeadLetter(reason)
        case WaitingForChildren():
            return DeadLetter(NO_FLOWS)
        case Retried(reason=reason, delay_ms=delay_ms):
            return Again(_seconds(delay_ms), reason)
        case _:
            return _put_back(outcome)


def _put_back(outcome: Outcome) -> Again:
    """When a message comes back whose handler asked for that, or was cut short."""
    match outcome:
        case Delayed(delay_ms=delay_ms, until_ms=until_ms):
            wait_ms = until_ms - round(time.time() * 1_000) if until_ms else delay_ms
            return Again(_seconds(wait_ms), "delayed by its handler")
        case RateLimited(for_ms=for_ms):
            return Again(_seconds(for_ms), "rate limited")
        case _:
            return GIVEN_BACK


def _seconds(milliseconds: int) -> int:
    # Rounded up: a second early would be an attempt too early.
    seconds = -(-max(0, milliseconds) // 1_000)
    return min(seconds, MAX_VISIBILITY_S - LONGEST_FUNCTION_S)
