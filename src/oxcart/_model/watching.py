"""What can be seen of a queue besides its jobs: figures, metrics, workers, settings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from oxcart._model.states import JobState


@dataclass(frozen=True, slots=True, kw_only=True)
class Metrics:
    """How many jobs came to an end, in all and a minute.

    Points are counted by workers that were told to (``metrics``). The job that ends first in a
    minute closes the points of the minutes before it.

    Attributes:
        count: in all.
        points: a page of counts a minute, newest first.
        point_count: how many points there are in all.
        previous_at_ms: when the last point was closed, ms since the epoch; 0 before the first.
        previous_count: ``count`` at that time.
    """

    count: int
    points: tuple[int, ...]
    point_count: int
    previous_at_ms: int
    previous_count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueFigures:
    """What of a queue is worth watching over time, read at one moment.

    Attributes:
        counts: how many jobs are in each state, of those that are known.
        is_paused: whether no job is taken.
        oldest_waiting_ms: for how long the oldest job that is ready to run has been so; ``None`` if
            there is none, or it is not known. A job that was delayed counts from when it was due,
            one that is tried again from when it was last started.
        finished_counts: how many jobs completed or failed in all; a state is missing where no
            worker counted (``metrics``).
        unknown_count: how many jobs workers put back within the last minutes because their name or
            payload was unknown to them, and none has run since.
    """

    counts: Mapping[JobState, int]
    is_paused: bool = False
    oldest_waiting_ms: int | None = None
    finished_counts: Mapping[JobState, int] = field(default_factory=dict)
    unknown_count: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueAnomalies:
    """What may be wrong with a queue, found by looking at some of its jobs at one moment.

    Attributes:
        unlocked_count: active jobs without a lock: their worker died, and the stalled check has not
            recovered them yet. Of the first 500 active jobs.
        failed_count: jobs that failed for good lately and are kept.
        names: the names of jobs that wait to be run, with how many of the jobs that were looked at
            have them: at most 500 of each end of the lists. Jobs that are not due are left out,
            unless a worker put them back because it does not know their name or payload.
    """

    unlocked_count: int
    failed_count: int
    names: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerInfo:
    """A connected worker of a queue, in whatever language it is written.

    Attributes:
        name: its name; empty if it has none.
        address: where it connects from.
        idle_s: seconds since it last sent a command on the connection that it waits on.
        age_s: how long it has been connected, in seconds.
    """

    name: str
    address: str
    idle_s: int
    age_s: int


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueMeta:
    """A queue's own settings, as they stand on the server.

    Attributes:
        version: what opened the queue last.
        events_length: how many events its stream keeps, about.
        is_paused: whether no job is taken.
        concurrency: how many jobs may run at a time in the whole fleet.
        rate_max: jobs a rate window of the queue's own rate limit.
        rate_ms: that window in ms.
    """

    version: str | None
    events_length: int | None
    is_paused: bool
    concurrency: int | None
    rate_max: int | None
    rate_ms: int | None
