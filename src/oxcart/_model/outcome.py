"""What became of one run of a handler, and the decision what happens to its job."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from oxcart._model import backoff as backoff_policy
from oxcart._model.options import Backoff


@dataclass(frozen=True, slots=True)
class Completed:
    """The handler returned; its value as JSON text."""

    return_value: bytes


@dataclass(frozen=True, slots=True)
class Failed:
    """The job failed for good.

    Attributes:
        reason: what the error said.
        trace: its traceback, or what stands for it.
        error: what the last attempt raised, for the hooks; ``None`` if nothing was raised.
    """

    reason: str
    trace: str
    error: BaseException | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Retried:
    """The attempt failed and the job is run again: at once, or after a while.

    Attributes:
        reason: what the error said.
        trace: its traceback, or what stands for it.
        delay_ms: how long the job waits for its next attempt.
        error: what was raised, for the log; ``None`` if nothing was raised.
    """

    reason: str
    trace: str
    delay_ms: int
    error: BaseException | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Delayed:
    """The handler asked to run later; no attempt is counted.

    Attributes:
        delay_ms: how long from now, if ``until_ms`` is 0.
        until_ms: the instant, milliseconds since the epoch, or 0.
    """

    delay_ms: int
    until_ms: int = 0


@dataclass(frozen=True, slots=True)
class PutBack:
    """The worker cannot run the job: it is delayed for another worker; no attempt is counted.

    Attributes:
        delay_ms: for how long.
        note: what is kept with the job.
        reason: why.
    """

    delay_ms: int
    note: bytes
    reason: str = ""


@dataclass(frozen=True, slots=True)
class GivenBack:
    """The job goes back to the front of the queue; no attempt is counted.

    Attributes:
        is_unrun: whether its handler had not begun, so that the take does not count as a start.
    """

    is_unrun: bool = False


@dataclass(frozen=True, slots=True)
class WaitingForChildren:
    """The handler asked to run again when the job's children are settled; no attempt is counted."""


@dataclass(frozen=True, slots=True)
class RateLimited:
    """The handler met a rate limit: the job goes back, and the queue waits; no attempt is counted.

    Attributes:
        for_ms: how long the queue's workers take nothing.
    """

    for_ms: int


@dataclass(frozen=True, slots=True)
class Lost:
    """The job is no longer ours: nothing may be written."""


Outcome = (
    Completed
    | Failed
    | Retried
    | Delayed
    | PutBack
    | GivenBack
    | WaitingForChildren
    | RateLimited
    | Lost
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A failed attempt, before it is decided what follows.

    Attributes:
        reason: what the error said.
        trace: its traceback, or what stands for it.
        is_permanent: no further attempt may be made.
        after_ms: the wait that the handler asked for; ``None`` leaves it to the backoff.
        error: what was raised, if anything was.
    """

    reason: str
    trace: str
    is_permanent: bool = False
    after_ms: int | None = None
    error: BaseException | None = field(default=None, compare=False, repr=False)


def decide(
    failure: Failure,
    *,
    attempts_made: int,
    max_attempts: int,
    backoff: Backoff | None,
    random: Callable[[], float],
) -> Failed | Retried:
    """Decide what follows a failed attempt (wire format, section 7.6).

    Args:
        failure: the failed attempt.
        attempts_made: attempts counted before this one.
        max_attempts: the job's limit.
        backoff: the job's policy.
        random: gives a number in [0, 1).
    """
    made = attempts_made + 1
    if failure.is_permanent or made >= max_attempts:
        return Failed(failure.reason, failure.trace, failure.error)
    wait = failure.after_ms
    if wait is None:
        wait = backoff_policy.delay_ms(backoff, made, random)
    return Retried(failure.reason, failure.trace, wait, failure.error)
