"""A step that a lane of a worker has sent, and the ended runs that it writes."""

from __future__ import annotations

from dataclasses import dataclass

from oxcart._engine.begun import Begun
from oxcart._engine.running_job import RunningJob
from oxcart._engine.stepper import Stepper
from oxcart._store.calls.stepping import EndedRun, StepReply


@dataclass(slots=True)
class EndedJob:
    """A job that has ended, and how that is written."""

    run: EndedRun
    job: RunningJob


@dataclass(slots=True)
class SentStep:
    """A step in flight: what it writes, how many jobs it asks for, and its reply to come."""

    stepper: Stepper
    written: list[EndedJob]
    count: int
    started_at: float
    reply: Begun[StepReply]
