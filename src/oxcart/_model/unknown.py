"""Jobs that the workers which took them could not run: put back, and when they fail."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

FIRST_DELAY_MS = 1_000
LONGEST_DELAY_MS = 30_000
"""No job is kept from a worker that knows it for longer than this."""
JITTER = 0.2
"""Delays are shortened by up to this share, so that many jobs do not come back all at once."""
WORKERS_KEPT = 5
"""How many of the workers that put a job back are kept with it, the latest last."""


class UnknownKind(StrEnum):
    """Why a worker cannot run a job."""

    NAME = "name"
    """It has no handler for the job's name."""
    PAYLOAD = "payload"
    """The payload does not fit its handler's parameters."""


@dataclass(frozen=True, slots=True)
class SeenBy:
    """A worker that took a job and could not run it.

    Attributes:
        worker: its name.
        build: the version of the application that it runs; empty if unknown.
    """

    worker: str
    build: str = ""

    def __str__(self) -> str:
        """Name the worker and its build."""
        return f"{self.worker} (build {self.build})" if self.build else self.worker


@dataclass(frozen=True, slots=True, kw_only=True)
class UnknownJob:
    """A job that was put back because the workers that took it could not run it.

    Attributes:
        kind: what they do not know: its name, or its payload.
        reason: the same in full, as the last of them said it.
        first_seen_at_ms: when the first of them took it, ms since the epoch, by the server's clock.
        count: how often it was put back.
        attempts_made: the attempts that had been counted by then: a job that was run in between is
            counted anew.
        seen_by: the last few workers that put it back, the latest last.
    """

    kind: UnknownKind
    reason: str
    first_seen_at_ms: int
    count: int = 0
    attempts_made: int = 0
    seen_by: tuple[SeenBy, ...] = ()

    def __str__(self) -> str:
        """Say in one line why the job is not run."""
        times = "once" if self.count == 1 else f"{self.count} times"
        return f"{self.reason}; put back {times}; seen by: {self.workers}"

    @property
    def workers(self) -> str:
        """The last few workers that put it back, with their builds."""
        return ", ".join(map(str, self.seen_by))


def seen_again(
    earlier: UnknownJob | None,
    kind: UnknownKind,
    reason: str,
    *,
    by: SeenBy,
    now_ms: int,
    attempts_made: int,
) -> UnknownJob:
    """Count one more worker that could not run a job.

    Args:
        earlier: what is kept with the job, if it was put back before.
        kind: what the worker does not know.
        reason: the same in full.
        by: the worker.
        now_ms: when it took the job.
        attempts_made: the job's counted attempts.
    """
    if earlier is None or earlier.attempts_made != attempts_made:
        earlier = UnknownJob(kind=kind, reason=reason, first_seen_at_ms=now_ms)
    others = tuple(worker for worker in earlier.seen_by if worker != by)
    return UnknownJob(
        kind=kind,
        reason=reason,
        first_seen_at_ms=earlier.first_seen_at_ms,
        count=earlier.count + 1,
        attempts_made=attempts_made,
        seen_by=(*others, by)[-WORKERS_KEPT:],
    )


def delay_ms(
    unknown: UnknownJob, *, now_ms: int, timeout_ms: int, random: Callable[[], float]
) -> int:
    """How long such a job is delayed: 1 s the first time, twice as long each time, 30 s at most.

    Args:
        unknown: the job, this time counted.
        now_ms: when it was taken.
        timeout_ms: how long after it was first seen it fails; it is not delayed beyond that.
        random: gives a number in [0, 1).
    """
    doubled = FIRST_DELAY_MS << min(unknown.count - 1, 10)
    jittered = round(min(doubled, LONGEST_DELAY_MS) * (1 - JITTER * random()))
    return max(1, min(jittered, unknown.first_seen_at_ms + timeout_ms - now_ms))
