"""How a queue is, and what is wrong with it: found at one moment, judged by rules without I/O."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from oxcart._model.job import JobCounts

MAX_FAILED = 10
"""A queue in which more jobs than this failed lately is degraded."""
LATELY_MINUTES = 15
"""How long ago a failure counts as recent."""
LONG_WAIT_S = 15 * 60
"""A queue whose oldest ready job has waited longer than this is degraded."""
SHOWN_NAMES = 5
"""How many job names a sentence names."""


class ProblemKind(StrEnum):
    """What is wrong with a queue."""

    PAUSED = "paused"
    """No job is taken until it is resumed."""
    NO_WORKER = "no_worker"
    """Jobs are ready and no worker is connected."""
    UNKNOWN_NAME = "no_worker_for_name"
    """Jobs wait whose name no live worker has a handler for."""
    WORKERS_PAUSED = "workers_paused"
    """Workers take none of its jobs for now, such as e-mails while the SMTP server is down."""
    LONG_WAIT = "long_wait"
    """A job has been ready for longer than ``LONG_WAIT_S``."""
    NO_LOCK = "no_lock"
    """Active jobs have no lock: their worker died."""
    FAILURES = "failures"
    """More than ``MAX_FAILED`` jobs failed in the last ``LATELY_MINUTES``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """Something that is wrong with a queue.

    Attributes:
        kind: what it is, for programs.
        text: what it is, for people.
    """

    kind: ProblemKind
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveWorker:
    """A worker that is connected, or that sent a heartbeat lately.

    Attributes:
        name: its name.
        job_names: the names that it has a handler for.
        has_any_handler: whether it runs jobs of any name.
        is_registered: whether its names are known: BullMQ's workers do not register.
        paused_s: for how many seconds it has taken no jobs; ``None`` if it takes them.
        pause_reason: why it does not.
    """

    name: str
    job_names: tuple[str, ...] = ()
    has_any_handler: bool = False
    is_registered: bool = False
    paused_s: float | None = None
    pause_reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueStatus:
    """How a queue is.

    Attributes:
        name: the queue.
        counts: how many jobs are in each state.
        is_paused: whether no job is taken.
        oldest_waiting_s: for how many seconds the oldest ready job has been so; ``None`` if there
            is none.
        failed_lately_count: jobs that failed for good in the last ``LATELY_MINUTES`` and are kept.
        unlocked_count: active jobs without a lock.
        waiting_names: the names of jobs that wait to be run, of those that were looked at.
        workers: the live workers; ``None`` if the server does not list them.
        completed_last_minute: about how many jobs completed in the last full minute; ``None`` if
            workers do not count them.
        failed_last_minute: the same for jobs that failed for good.
    """

    name: str
    counts: JobCounts
    is_paused: bool = False
    oldest_waiting_s: float | None = None
    failed_lately_count: int = 0
    unlocked_count: int = 0
    waiting_names: Mapping[str, int] = field(default_factory=dict)
    workers: tuple[LiveWorker, ...] | None = None
    completed_last_minute: int | None = None
    failed_last_minute: int | None = None

    @property
    def ready_count(self) -> int:
        """How many jobs are ready to run, with a priority or without."""
        return self.counts.waiting + self.counts.prioritized

    @property
    def problems(self) -> tuple[Problem, ...]:
        """What is wrong with the queue."""
        return tuple(_problems_of(self))

    @property
    def is_healthy(self) -> bool:
        """Whether nothing is wrong with the queue."""
        return not self.problems

    @property
    def names_without_worker(self) -> Mapping[str, int]:
        """The names of jobs that wait and that no live worker has a handler for.

        Empty where that is not known: a worker is connected that did not register its names.
        """
        if not self.workers:
            return {}
        if any(worker.has_any_handler or not worker.is_registered for worker in self.workers):
            return {}
        known = {name for worker in self.workers for name in worker.job_names}
        return {name: count for name, count in self.waiting_names.items() if name not in known}

    @property
    def paused_workers(self) -> tuple[LiveWorker, ...]:
        """The live workers that take none of the queue's jobs for now."""
        return tuple(worker for worker in self.workers or () if worker.paused_s is not None)

    def as_dict(self) -> dict[str, object]:
        """The status with the names that the old system's callers know, and further ones."""
        return {
            "name": self.name,
            "isHealthy": self.is_healthy,
            "waitingCount": self.ready_count,
            "activeCount": self.counts.active,
            "completedCount": self.counts.completed,
            "failedCount": self.counts.failed,
            "delayedCount": self.counts.delayed,
            "waitingChildrenCount": self.counts.waiting_children,
            "completedLastMinute": self.completed_last_minute,
            "failedLastMinute": self.failed_last_minute,
            "failedLatelyCount": self.failed_lately_count,
            "unlockedCount": self.unlocked_count,
            "isPaused": self.is_paused,
            "oldestWaitingSeconds": self.oldest_waiting_s,
            "workerCount": None if self.workers is None else len(self.workers),
            "pausedWorkerCount": len(self.paused_workers),
            "namesWithoutWorker": dict(self.names_without_worker),
            "problems": [
                {"kind": str(problem.kind), "text": problem.text} for problem in self.problems
            ],
        }


def age_text(seconds: float) -> str:
    """Return a duration for people: ``45 s``, ``4 m 12 s``, ``3 h 5 m`` or ``2 d 4 h``."""
    whole = round(seconds)
    for unit, name, smaller, smaller_name in (
        (86_400, "d", 3_600, "h"), (3_600, "h", 60, "m"), (60, "m", 1, "s"),
    ):  # fmt: skip
        if whole >= unit:
            return f"{whole // unit} {name} {whole % unit // smaller} {smaller_name}"
    return f"{whole} s"


def _problems_of(queue: QueueStatus) -> Iterator[Problem]:
    ready, workers = queue.ready_count, queue.workers
    if queue.is_paused:
        waiting = f", and {_jobs(ready)} ready" if ready else ""
        yield Problem(kind=ProblemKind.PAUSED, text=f"the queue is paused{waiting}")
    if workers is not None and not workers and (ready or queue.waiting_names):
        count = max(ready, sum(queue.waiting_names.values()))
        text = f"no worker is connected, and {_jobs(count)} ready"
        yield Problem(kind=ProblemKind.NO_WORKER, text=text)
    if missing := queue.names_without_worker:
        yield Problem(kind=ProblemKind.UNKNOWN_NAME, text=_unknown_text(queue, missing))
    if queue.paused_workers:
        yield Problem(kind=ProblemKind.WORKERS_PAUSED, text=_paused_text(queue))
    if queue.oldest_waiting_s is not None and queue.oldest_waiting_s > LONG_WAIT_S:
        text = f"the oldest job has been ready for {age_text(queue.oldest_waiting_s)}"
        yield Problem(kind=ProblemKind.LONG_WAIT, text=text)
    if queue.unlocked_count:
        text = f"{queue.unlocked_count} active without a lock: their worker died or lost the server"
        yield Problem(kind=ProblemKind.NO_LOCK, text=text)
    if queue.failed_lately_count > MAX_FAILED:
        text = f"{queue.failed_lately_count:,} jobs failed in the last {LATELY_MINUTES} minutes"
        yield Problem(kind=ProblemKind.FAILURES, text=text)


def _unknown_text(queue: QueueStatus, missing: Mapping[str, int]) -> str:
    workers = queue.workers or ()
    known = sorted({name for worker in workers for name in worker.job_names})
    has = "the live worker has" if len(workers) == 1 else f"the {len(workers)} live workers have"
    waiting = ", ".join(
        f"{name!r} ({count:,} waiting)" for name, count in list(missing.items())[:SHOWN_NAMES]
    )
    more = f" and {len(missing) - SHOWN_NAMES} more" if len(missing) > SHOWN_NAMES else ""
    return f"no live worker has a handler for {waiting}{more}; {has}: {_listed(known)}"


def _paused_text(queue: QueueStatus) -> str:
    paused = queue.paused_workers
    longest = max(paused, key=lambda worker: worker.paused_s or 0.0)
    reason = f": {longest.pause_reason}" if longest.pause_reason else ""
    return (
        f"{len(paused)} of {len(queue.workers or ())} workers paused for "
        f"{age_text(longest.paused_s or 0.0)}{reason}"
    )


def _listed(names: list[str]) -> str:
    more = ["…"] if len(names) > SHOWN_NAMES else []
    return ", ".join([*names[:SHOWN_NAMES], *more]) or "none"


def _jobs(count: int) -> str:
    return "1 job is" if count == 1 else f"{count:,} jobs are"
