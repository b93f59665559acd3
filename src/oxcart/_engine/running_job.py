"""A job that a worker is running, and why it may be cancelled."""

from __future__ import annotations

import asyncio
import contextvars
import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING

from oxcart._engine.hold import Hold
from oxcart._model.job import JobRecord
from oxcart._store.calls.stepping import TakenJob

if TYPE_CHECKING:
    from oxcart._engine.context import JobContext
    from oxcart._engine.handler import Handler


class CancelReason(enum.Enum):
    """Why a running job is cancelled."""

    TIMED_OUT = "timed out"
    """It took longer than it may: a failed attempt."""
    STOPPING = "stopping"
    """The worker stops: the job goes back, no attempt is counted."""
    LOST = "lost"
    """The lock is gone: nothing may be written."""
    ABANDONED = "abandoned"
    """It did not end when it was timed out; it has been written as failed already."""
    CANCELLED = "cancelled"
    """Somebody asked for it: the job fails for good."""


@dataclass(slots=True, eq=False)
class RunningJob:
    """A job being run.

    Attributes:
        taken: as it was taken.
        hold: the right to it.
        record: its fields, once they were read.
        handler: what runs it, once it was found.
        context: the job as its handler and its hooks see it, from then on.
        variables: what was bound in its task when the attempt had failed.
        deadline: when it is over time, in the loop's seconds.
        overdue_since: when it was first seen over time.
        task: the task that runs it.
        began_at: when its run began, in seconds of ``time.monotonic``; 0 if it has not begun.
        ended_at: when its run ended, where the log shows how long it took.
        attempt: the number of the attempt of a completed run, where the log shows it.
        has_begun: whether the task has run yet: until then there is nothing to interrupt.
        cancelled_for: set before the task is cancelled.
        cancel_reason_text: why, in the words of who asked for it.
    """

    taken: TakenJob
    hold: Hold
    record: JobRecord | None = None
    handler: Handler | None = None
    context: JobContext | None = None
    variables: contextvars.Context | None = None
    deadline: float | None = None
    overdue_since: float | None = None
    task: asyncio.Task[object] | None = None
    began_at: float = 0.0
    ended_at: float = 0.0
    attempt: int = 0
    has_begun: bool = False
    cancelled_for: CancelReason | None = None
    cancel_reason_text: str | None = None

    def cancel(self, reason: CancelReason, text: str | None = None) -> None:
        """Cancel the run, once; one that goes on may be timed out, or have been, in addition.

        The time-out of one that was cancelled before does not change what it was cancelled for.

        Args:
            reason: why.
            text: the same in the words of who asked for it, kept as the job's failed reason.
        """
        if self.task is None:
            return
        if self.cancelled_for in (None, CancelReason.TIMED_OUT):
            self.cancelled_for = reason
            self.cancel_reason_text = text
        elif reason is not CancelReason.TIMED_OUT:
            return
        if self.has_begun:
            self.task.cancel(text or reason.value)
