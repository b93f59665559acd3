"""How a job is tied to others: its parent in a flow, and its deduplication id."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Literal, get_args

from oxcart._model.duration import Duration, to_ms
from oxcart._model.ids import check_queue_name
from oxcart.errors import ConfigError

ParentPolicy = Literal["fail", "continue", "ignore", "remove"]
"""What a job's final failure does to its parent.

``fail`` fails the parent too; ``continue`` runs it at once, siblings pending or not; ``ignore``
counts the job as settled and keeps its failure with the parent; ``remove`` counts it as settled
and keeps nothing. Without a policy the parent waits until the job is retried or removed.
"""
PARENT_POLICIES: tuple[ParentPolicy, ...] = get_args(ParentPolicy)


@dataclass(frozen=True, slots=True, kw_only=True)
class ParentRef:
    """The job that a new job becomes a child of; it must exist.

    Attributes:
        queue: its queue.
        id: its id.
        prefix: its queue's prefix; ``None`` for the child's own.
    """

    queue: str
    id: str
    prefix: str | None = None

    def __post_init__(self) -> None:
        """Check the names."""
        check_queue_name(self.queue)
        if not self.id:
            raise ConfigError("parent id is empty")


@dataclass(frozen=True, slots=True, kw_only=True)
class Deduplication:
    """Adding nothing while a job with the same deduplication id is there.

    The first job with an id holds it until it completes or fails for good, or with ``ttl`` for that
    long. Adds with the same id meanwhile answer the holder.

    Attributes:
        id: what counts as the same.
        ttl: hold the id for this long, whatever becomes of the job.
        extend: with ``ttl``: each add that is dropped starts the time anew.
        replace: a holder that is still delayed is replaced by the new job.
        reschedule: a holder that is still delayed takes over the new job's delay.
        keep_last_if_active: of the jobs added while the holder runs, the last one is kept and runs
            after it.
    """

    id: str
    ttl: Duration | None = None
    extend: bool = False
    replace: bool = False
    reschedule: bool = False
    keep_last_if_active: bool = False

    def __post_init__(self) -> None:
        """Check the id and the time."""
        if not self.id:
            raise ConfigError("deduplication id is empty")
        if self.ttl is not None and to_ms(self.ttl, what="deduplication ttl") == 0:
            raise ConfigError("deduplication ttl is 0; leave it out to hold the id until the end")

    @property
    def ttl_ms(self) -> int | None:
        """The time in milliseconds."""
        return None if self.ttl is None else to_ms(self.ttl)


@dataclass(frozen=True, slots=True, kw_only=True)
class RateLimit:
    """How many jobs may be started in a time.

    The window is fixed: it opens with the first job taken and admits ``max`` until it is over.

    Attributes:
        max: jobs a window, at least 1.
        per: how long a window is.
    """

    max: int
    per: Duration

    def __post_init__(self) -> None:
        """Check the figures."""
        most: object = self.max
        if not isinstance(most, int) or isinstance(most, bool) or most < 1:
            raise ConfigError(f"rate limit max is {most!r}; it must be a whole number from 1")
        if self.per_ms < 1:
            raise ConfigError(f"rate limit per is {self.per!r}; it must be 1 ms or more")
        # "1m" and "60s" are the same limit.
        object.__setattr__(self, "per", timedelta(milliseconds=self.per_ms))

    @property
    def per_ms(self) -> int:
        """The window in milliseconds."""
        return to_ms(self.per, what="rate limit per")
