"""Which operations of the vectors can be replayed, and what each may be given.

A step's function stands beside its name and the fields that it reads; a field that nobody reads
would be passed over in silence, so a vector that has one is not replayed.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.interop.session import Session
    from tests.interop.vectors import Step

Play = Callable[["Session", "Step"], Awaitable[Any]]

COMMON_FIELDS = frozenset({"op", "now", "result", "queue", "library", "opts", "worker"})
"""Fields of any step; what stands in ``opts`` and ``worker`` is looked at by itself."""
JOB_OPTIONS = frozenset(
    {
        "attempts", "backoff", "continueParentOnFailure", "deduplication", "delay",
        "failParentOnFailure", "ignoreDependencyOnFailure", "jobId", "keepLogs", "lifo", "parent",
        "priority", "removeDependencyOnFailure", "removeOnComplete", "removeOnFail", "sizeLimit",
        "stackTraceLimit", "telemetry", "timestamp",
    }
)  # fmt: skip
"""A job's options that oxcart has, by BullMQ's names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """An operation that can be replayed.

    Attributes:
        play: makes the step; gives its result in the vector's form.
        fields: what the step may have besides ``COMMON_FIELDS``.
        options: what its ``opts`` may have.
        worker: what its ``worker`` may have.
        opens: it opens the queue for writing, if it is the first to name it.
    """

    play: Play
    fields: frozenset[str]
    options: frozenset[str]
    worker: frozenset[str]
    opens: bool


OPERATIONS: dict[str, Operation] = {}
OLDER_RELEASE: dict[str, Operation] = {}
"""The same for steps that an older release of BullMQ made: imitated by raw commands."""


def operation(
    *names: str,
    fields: str = "",
    options: frozenset[str] = frozenset(),
    worker: str = "",
    opens: bool = True,
    registry: dict[str, Operation] = OPERATIONS,
) -> Callable[[Play], Play]:
    """Register a step's function under the names of its operations."""

    def register(play: Play) -> Play:
        for name in names:
            assert name not in registry, name
            registry[name] = Operation(
                play=play,
                fields=frozenset(fields.split()),
                options=options,
                worker=frozenset(worker.split()),
                opens=opens,
            )
        return play

    return register
