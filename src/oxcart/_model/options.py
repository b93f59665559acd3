"""What a job can be given: options, retention and backoff, checked when they are made."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, fields
from datetime import datetime
from difflib import get_close_matches
from functools import lru_cache
from typing import Any, ClassVar, Literal, cast

from oxcart._model.duration import Duration, to_ms
from oxcart._model.ids import check_job_id
from oxcart._model.links import PARENT_POLICIES, Deduplication, ParentPolicy, ParentRef
from oxcart.errors import ConfigError

MAX_PRIORITY = 2_097_151
"""The lowest priority there is (wire format, section 3)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """How long finished jobs are kept.

    With both limits, a job goes when either is passed. Retention is applied when a job finishes,
    to all finished jobs of its state.

    Attributes:
        count: keep this many of the newest; ``None`` sets no limit, 0 keeps none.
        age: keep them this long; ``None`` sets no limit.
        limit: how many one finish removes at the most because of their age; default 1,000.
    """

    count: int | None = None
    age: Duration | None = None
    limit: int | None = None

    ALL: ClassVar[Retention]
    """Keep every job."""
    NONE: ClassVar[Retention]
    """Remove a job as soon as it is finished."""

    def __post_init__(self) -> None:
        """Check the limits."""
        if self.count is not None and self.count < 0:
            raise ConfigError(f"retention count is {self.count}; it cannot be negative")
        if self.limit is not None and self.limit < 1:
            raise ConfigError(f"retention limit is {self.limit}; it must be 1 or more")
        if self.age is not None:
            to_ms(self.age, what="retention age")

    @property
    def age_seconds(self) -> int | None:
        """The age in whole seconds, at least 1, as the wire has it."""
        return None if self.age is None else max(1, round(to_ms(self.age) / 1_000))


Retention.ALL = Retention()
Retention.NONE = Retention(count=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """How long to wait between two attempts.

    Attributes:
        kind: ``fixed``, ``exponential`` (doubling with each attempt), or any other name, such as
            ``custom``: then the ``backoff_strategies`` of the worker that runs the job decide.
        delay_ms: the wait after the first attempt; of another kind, what the strategy makes of it.
        jitter: the share of the wait that is random, 0 to 1.
    """

    kind: Literal["fixed", "exponential"] | str  # editors offer the literals
    delay_ms: int = 0
    jitter: float = 0.0

    def __post_init__(self) -> None:
        """Check the kind and the figures."""
        if not self.kind:
            raise ConfigError("backoff kind is empty; name one, such as 'fixed' or 'custom'")
        if self.delay_ms < 0:
            raise ConfigError(f"backoff delay is {self.delay_ms} ms; it cannot be negative")
        if not 0 <= self.jitter <= 1:
            raise ConfigError(f"backoff jitter is {self.jitter}; it must be between 0 and 1")

    @property
    def is_built_in(self) -> bool:
        """Whether the wait follows from the backoff alone, without a strategy of the worker."""
        return self.kind in ("fixed", "exponential")


def exponential(delay: Duration, *, jitter: float = 0.0) -> Backoff:
    """Wait ``delay`` after the first failed attempt, twice as long after the second, and so on."""
    return Backoff(kind="exponential", delay_ms=to_ms(delay, what="backoff delay"), jitter=jitter)


def fixed(delay: Duration, *, jitter: float = 0.0) -> Backoff:
    """Wait ``delay`` after every failed attempt."""
    return Backoff(kind="fixed", delay_ms=to_ms(delay, what="backoff delay"), jitter=jitter)


@dataclass(frozen=True, slots=True, kw_only=True)
class JobOptions:
    """How a job is queued and run.

    Attributes:
        job_id: the job's id; adding an id that exists adds nothing. Default: the queue's counter.
        delay: run it after this long, or at this (aware) instant.
        priority: 0 runs first; then 1 to 2,097,151, lower numbers sooner.
        lifo: put the job to the front of the queue, for retries too.
        attempts: how often the job is run before it has failed, at least 1 (0 counts as 1).
        backoff: the wait between attempts; ``None`` retries at once.
        keep_completed: retention once completed; ``None`` leaves it to the worker.
        keep_failed: retention once failed; ``None`` leaves it to the worker.
        timestamp: when the job counts as made; default now.
        stacktrace_limit: how many tracebacks are kept, 0 for none; ``None`` keeps one an attempt.
        size_limit: refuse data longer than this many bytes of JSON.
        log_limit: keep this many log rows; ``None`` keeps all.
        parent: make the job a child of this one.
        parent_on_failure: what the job's final failure does to its parent.
        deduplication: add nothing while a job with the same deduplication id is there; a text is
            the id alone.
        expires: fail the job unrun if it is still waiting after this long, or at this instant.
        telemetry_metadata: trace context, passed through to whoever runs the job.
        omit_telemetry_context: tells BullMQ's telemetry not to go on with the adder's trace.
    """

    job_id: str | None = None
    delay: Duration | datetime | None = None
    priority: int = 0
    lifo: bool = False
    attempts: int = 1
    backoff: Backoff | None = None
    keep_completed: Retention | None = None
    keep_failed: Retention | None = None
    timestamp: datetime | None = None
    stacktrace_limit: int | None = None
    size_limit: int | None = None
    log_limit: int | None = None
    parent: ParentRef | None = None
    parent_on_failure: ParentPolicy | None = None
    deduplication: Deduplication | str | None = None
    expires: Duration | datetime | None = None
    telemetry_metadata: str | None = None
    omit_telemetry_context: bool = False

    def __post_init__(self) -> None:
        """Check every option.

        Raises:
            ConfigError: naming the option, its value and what it wants.
        """
        for name, kinds in _KINDS:
            value = getattr(self, name)
            if value is not None:
                check_kind(name, value, *kinds)
        if self.job_id is not None:
            check_job_id(self.job_id)
        check_range("priority", self.priority, 0, MAX_PRIORITY)
        check_range("attempts", self.attempts, 0, 2**31)
        for name in ("stacktrace_limit", "size_limit", "log_limit"):
            value = getattr(self, name)
            if value is not None:
                check_range(name, value, 0, 2**53)
        check_when("delay", self.delay)
        check_when("expires", self.expires)
        if self.timestamp is not None:
            check_aware("timestamp", self.timestamp)
        self._check_links()

    def _check_links(self) -> None:
        policy = self.parent_on_failure
        if policy is not None and policy not in PARENT_POLICIES:
            raise ConfigError(
                f"parent_on_failure is {policy!r}; it must be one of {', '.join(PARENT_POLICIES)}"
            )
        if isinstance(self.deduplication, str):
            object.__setattr__(self, "deduplication", Deduplication(id=self.deduplication))
        if self.parent is not None and self.deduplication is not None:
            raise ConfigError("a job with a parent cannot have a deduplication id")

    @property
    def dedup(self) -> Deduplication | None:
        """The deduplication as a value, which it is however it was given."""
        return cast("Deduplication | None", self.deduplication)

    @property
    def max_attempts(self) -> int:
        """How often the job is run before it has failed."""
        return max(1, self.attempts)


_KNOWN = frozenset(item.name for item in fields(JobOptions))
_KINDS: tuple[tuple[str, tuple[type, ...]], ...] = (
    ("backoff", (Backoff,)),
    ("keep_completed", (Retention,)),
    ("keep_failed", (Retention,)),
    ("parent", (ParentRef,)),
    ("deduplication", (Deduplication, str)),
)


def check_kind(name: str, value: object, *kinds: type) -> None:
    """Refuse a value that is neither ``None`` nor of one of the types."""
    if value is not None and not isinstance(value, kinds):
        wanted = " or ".join(kind.__name__ for kind in kinds)
        raise ConfigError(f"{name} is {value!r}; it must be a {wanted}")


def job_options(**options: Any) -> JobOptions:
    """Make a job's options of keyword arguments.

    Raises:
        ConfigError: there is no such option; told with the one that was probably meant.
    """
    if not options:
        return PLAIN_OPTIONS
    # An id or an instant is another one each time; and an hour that a clock shows twice, as in
    # autumn, is an equal instant the second time.
    if "job_id" in options or any(isinstance(value, datetime) for value in options.values()):
        return _checked_options(**options)
    try:
        return _remembered_options(**options)
    except TypeError:  # something that cannot be compared, and so is wrong
        return _checked_options(**options)


def _checked_options(**options: Any) -> JobOptions:
    check_option_names(options)
    return JobOptions(**options)


def check_option_names(names: Iterable[str]) -> None:
    """Refuse names that are no job option's.

    Raises:
        ConfigError: told with the option that was probably meant.
    """
    for name in names:
        if name not in _KNOWN:
            meant = OPTION_NAMES_OF_BULLMQ.get(name) or _closest(name)
            hint = (
                f"; did you mean {meant!r}?"
                if meant
                else f"; there are: {', '.join(sorted(_KNOWN))}"
            )
            raise ConfigError(f"there is no job option {name!r}{hint}")


# Programs give the same few options again and again.
_remembered_options = lru_cache(maxsize=256, typed=True)(_checked_options)


def _closest(name: str) -> str | None:
    snake = re.sub(r"(?<=[a-z])([A-Z])", r"_\1", name).lower()
    found = get_close_matches(snake, _KNOWN, n=1, cutoff=0.7)
    return found[0] if found else None


OPTION_NAMES_OF_BULLMQ = {
    "removeOnComplete": "keep_completed",
    "removeOnFail": "keep_failed",
    "keepLogs": "log_limit",
    "failParentOnFailure": "parent_on_failure",
    "continueParentOnFailure": "parent_on_failure",
    "ignoreDependencyOnFailure": "parent_on_failure",
    "removeDependencyOnFailure": "parent_on_failure",
    "debounce": "deduplication",
}
"""BullMQ's names of options that are not just spelt otherwise."""


def check_range(name: str, value: object, low: int, high: int) -> None:
    """Refuse what is no whole number within the range."""
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise ConfigError(f"{name} is {value!r}; it must be a whole number from {low} to {high}")


def check_when(name: str, when: Duration | datetime | None) -> None:
    """Refuse what is neither a duration nor an aware instant."""
    if isinstance(when, datetime):
        check_aware(name, when)
    elif when is not None:
        to_ms(when, what=name)


def check_aware(name: str, value: datetime) -> None:
    """Refuse an instant without a time zone."""
    if getattr(value, "tzinfo", None) is None:
        if not isinstance(value, datetime):
            raise ConfigError(f"{name} is {value!r}; it must be an aware datetime")
        raise ConfigError(f"{name} is {value!r}, which has no time zone; give an aware datetime")


PLAIN_OPTIONS = JobOptions()
"""Those of all jobs that are given none: what follows from them is worked out once."""
