"""A job as it stands in Redis, read into values."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, TypeVar

from oxcart._model.json import JsonValue
from oxcart._model.options import PLAIN_OPTIONS, JobOptions
from oxcart._model.unknown import UnknownJob
from oxcart.errors import ConfigError


# Without slots: what a record does not hold is its class's default; see `made_of`.
@dataclass(frozen=True, kw_only=True)
class JobRecord:
    """A job's fields, decoded. Its ``repr`` leaves payload, results and tracebacks out.

    Attributes:
        id: unique in its queue.
        name: which handler runs it.
        data: the payload.
        options: what it was added with.
        created_at_ms: when it was added, milliseconds since the epoch.
        delay_ms: the current delay; 0 when it is not delayed.
        priority: the current priority.
        attempts_made: attempts that came to an end, failed or completed.
        attempts_started: how often a worker took it.
        stalled_count: how often it was recovered from a worker that had lost it.
        processed_at_ms: when a worker last took it.
        finished_at_ms: when it completed or failed for good.
        progress: what the handler last reported; 0 before.
        return_value: what the handler returned.
        failed_reason: what the last error said.
        stacktrace: tracebacks of the failed attempts, oldest first.
        processed_by: name of the worker that last took it.
        parent_key: full key of its parent in a flow.
        scheduler_id: the scheduler that made it.
        deduplication_id: its deduplication id.
        deferred_failure: why the next worker must fail it without running it.
        corruption: what could not be read, if something could not; the fields concerned are empty.
        unknown: why workers put it back unrun, if the last of them did so because its name or its
            payload was unknown to them.
        unrun_count: how often it was taken and put back before its handler began.
    """

    id: str
    name: str
    data: JsonValue = field(repr=False)
    options: JobOptions
    created_at_ms: int = 0
    delay_ms: int = 0
    priority: int = 0
    attempts_made: int = 0
    attempts_started: int = 0
    stalled_count: int = 0
    processed_at_ms: int | None = None
    finished_at_ms: int | None = None
    progress: JsonValue = field(default=0, repr=False)
    return_value: JsonValue = field(default=None, repr=False)
    failed_reason: str | None = None
    stacktrace: tuple[str, ...] = field(default=(), repr=False)
    processed_by: str | None = None
    parent_key: str | None = None
    scheduler_id: str | None = None
    deduplication_id: str | None = None
    deferred_failure: str | None = None
    corruption: str | None = None
    unknown: UnknownJob | None = None
    unrun_count: int = 0

    @property
    def delay_reason(self) -> str | None:
        """Why the job is not run yet though workers took it; ``None`` if it is not known."""
        if self.unknown is None or self.finished_at_ms is not None:
            return None
        return str(self.unknown)


R = TypeVar("R", bound=JobRecord)


def made_of(kind: type[R], values: dict[str, Any]) -> R:
    """Make a record of checked values by name, which it then owns.

    Making a frozen dataclass in its own way takes longer than reading a job does.
    """
    record = kind.__new__(kind)
    object.__setattr__(record, "__dict__", values)
    return record


@dataclass(frozen=True, slots=True, kw_only=True)
class JobSpec:
    """A job to be added. Its ``repr`` leaves the payload out: it may hold secrets.

    Attributes:
        name: which handler runs it.
        data: the payload: anything JSON can hold.
        options: how it is queued and run.
    """

    name: str
    data: JsonValue = field(default_factory=dict, repr=False)
    options: JobOptions = PLAIN_OPTIONS


def check_spec(spec: object) -> None:
    """Say what is wrong with a job that could not be written; costs nothing where it could.

    Raises:
        ConfigError: it is none, or its name or its options are of another type.
    """
    if not isinstance(spec, JobSpec):
        raise ConfigError(
            f"a job to add is a {type(spec).__name__}; it must be a JobSpec, as in "
            "JobSpec(name='send', data={}, options=JobOptions(attempts=3))"
        )
    if not isinstance(spec.name, str):
        raise ConfigError(f"a job's name is {spec.name!r}; it must be text")
    if not isinstance(spec.options, JobOptions):
        raise ConfigError(
            f"the options of job {spec.name!r} are {spec.options!r}; they must be JobOptions"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class JobCounts:
    """How many jobs of a queue are in each state."""

    waiting: int = 0
    active: int = 0
    delayed: int = 0
    prioritized: int = 0
    waiting_children: int = 0
    completed: int = 0
    failed: int = 0

    @property
    def pending(self) -> int:
        """Jobs that still have to be taken."""
        return self.waiting + self.delayed + self.prioritized + self.waiting_children


@dataclass(frozen=True, slots=True)
class JobLogs:
    """A page of a job's log.

    Attributes:
        rows: the page, oldest first.
        count: how many rows there are in all.
    """

    rows: tuple[str, ...]
    count: int
