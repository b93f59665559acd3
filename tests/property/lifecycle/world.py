"""The queues of the model, and the jobs in them: what stands where."""

from __future__ import annotations

from dataclasses import dataclass, field

from oxcart import JobState
from oxcart._model.links import Deduplication, ParentPolicy
from oxcart._model.states import MOVES

Ref = tuple[str, str]
"""A job by its queue and its id."""

READY = (JobState.WAITING, JobState.PRIORITIZED)
FINISHED = (JobState.COMPLETED, JobState.FAILED)
STEP = 4_096
"""How much of a delayed job's score one millisecond is."""
MANUAL = 2**53 - 1
"""What the limiter counts while a queue is held back on purpose."""


@dataclass(slots=True, kw_only=True)
class ModelJob:
    """A job as the model knows it.

    Attributes:
        rank: its place in the sorted set of its state, if that is one.
        deferred: why the next worker must fail it unrun.
        pending: children that it waits for; ``processed``, ``ignored`` and ``failing`` are those
            that completed, whose failure it ignores, and whose failure fails it.
    """

    queue: str
    id: str
    made_at_ms: int
    priority: int = 0
    delay_ms: int = 0
    is_lifo: bool = False
    attempts: int = 3
    state: JobState = JobState.UNKNOWN
    rank: float = 0
    token: str | None = None
    attempts_made: int = 0
    attempts_started: int = 0
    stalled_count: int = 0
    processed_at_ms: int | None = None
    finished_at_ms: int | None = None
    deferred: str | None = None
    dedup_id: str | None = None
    scheduler: str | None = None
    parent: Ref | None = None
    policy: ParentPolicy | None = None
    pending: set[Ref] = field(default_factory=set)
    processed: set[Ref] = field(default_factory=set)
    ignored: set[Ref] = field(default_factory=set)
    failing: set[Ref] = field(default_factory=set)

    @property
    def ref(self) -> Ref:
        """The job by its queue and its id."""
        return self.queue, self.id


@dataclass(slots=True, kw_only=True)
class NewJob:
    """A job to be added; without an id it gets the counter's."""

    queue: str
    id: str | None = None
    priority: int = 0
    delay_ms: int = 0
    is_lifo: bool = False
    parent: Ref | None = None
    policy: ParentPolicy | None = None
    dedup: Deduplication | None = None
    has_children: bool = False


@dataclass(slots=True)
class Holder:
    """Who holds a deduplication id, and whether for a time."""

    job_id: str
    expires: bool


@dataclass(slots=True)
class ModelQueue:
    """A queue.

    Attributes:
        wait: ids in their order; the last is taken first.
        active: ids in their order; the first was taken last.
        suspects: active at the last stalled check, and neither renewed nor ended since; they stay
            so when they are removed, even if a job of the same id comes after them.
        started: jobs started in the current rate window.
        is_awake: whether the token is there that wakes a worker.
        due_token: the time in the other token.
        may_sleep: jobs may wait without the first token: BullMQ has gaps where the next poll helps.
    """

    name: str
    is_paused: bool = False
    concurrency: int | None = None
    rate_max: int | None = None
    started: int | None = None
    counter: int = 0
    turn: int = 0
    wait: list[str] = field(default_factory=list)
    active: list[str] = field(default_factory=list)
    suspects: set[str] = field(default_factory=set)
    holders: dict[str, Holder] = field(default_factory=dict)
    kept: dict[str, NewJob] = field(default_factory=dict)
    schedulers: dict[str, int] = field(default_factory=dict)
    is_awake: bool = False
    due_token: float | None = None
    may_sleep: bool = False

    @property
    def is_blocked(self) -> bool:
        """Whether takes answer nothing."""
        return self.is_paused or self.is_full

    @property
    def is_full(self) -> bool:
        """Whether as many jobs run as may."""
        return self.concurrency is not None and len(self.active) >= self.concurrency


class World:
    """All queues and jobs, and the time.

    Every change of a job's state goes through ``move``, which asks the table of moves.
    """

    def __init__(self, *names: str) -> None:
        self.now_ms = 1_700_000_000_000
        self.queues = {name: ModelQueue(name) for name in names}
        self.jobs: dict[Ref, ModelJob] = {}
        self.moves_seen: set[str] = set()

    def queue_of(self, job: ModelJob) -> ModelQueue:
        """The queue that a job is in."""
        return self.queues[job.queue]

    def refs(self, *states: JobState, queue: str | None = None) -> list[Ref]:
        """The jobs in one of the states."""
        return sorted(
            ref
            for ref, job in self.jobs.items()
            if job.state in states and queue in (None, job.queue)
        )

    def ranked(self, queue: str, state: JobState) -> list[ModelJob]:
        """The jobs of a state that is a sorted set, lowest first."""
        jobs = [self.jobs[ref] for ref in self.refs(state, queue=queue)]
        return sorted(jobs, key=lambda job: (job.rank, job.id))

    def held(self, queue: str | None = None) -> list[ModelJob]:
        """The jobs that a worker holds."""
        refs = self.refs(JobState.ACTIVE, queue=queue)
        return [self.jobs[ref] for ref in refs if self.jobs[ref].token is not None]

    def move(
        self, name: str, job: ModelJob, to: JobState, *, is_next: bool = False, rank: float = 0
    ) -> None:
        """Change a job's state, which the table of moves must allow."""
        sources, targets = MOVES[name]
        assert job.state in sources, f"{name} from {job.state}"
        assert to in targets, f"{name} to {to}"
        self.moves_seen.add(name)
        queue = self.queue_of(job)
        if job.state is JobState.WAITING:
            queue.wait.remove(job.id)
        elif job.state is JobState.ACTIVE and job.id in queue.active:
            queue.active.remove(job.id)
        job.state, job.rank = to, rank
        if to is JobState.WAITING:
            queue.wait.insert(len(queue.wait) if is_next else 0, job.id)
        elif to is JobState.ACTIVE:
            queue.active.insert(0, job.id)
        elif to is JobState.UNKNOWN:
            del self.jobs[job.ref]

    def make_ready(self, name: str, job: ModelJob, *, is_next: bool = False) -> None:
        """Put a job where it is taken from."""
        queue = self.queue_of(job)
        if not job.priority:
            self.move(name, job, JobState.WAITING, is_next=is_next)
            return
        queue.turn += 1
        self.move(name, job, JobState.PRIORITIZED, rank=job.priority * 2**32 + queue.turn)

    def make_delayed(self, name: str, job: ModelJob, due_ms: int) -> None:
        """Put a job among the delayed ones, behind those due in the same millisecond."""
        delayed = self.ranked(job.queue, JobState.DELAYED)
        same = [
            other.rank for other in delayed if other is not job and other.rank // STEP == due_ms
        ]
        rank = max(same) + 1 if same else due_ms * STEP
        self.move(name, job, JobState.DELAYED, rank=rank)

    def wake(self, queue: ModelQueue) -> None:
        """Wake a worker, unless it could take nothing."""
        queue.is_awake = queue.is_awake or not queue.is_blocked

    def mark_due(self, queue: ModelQueue) -> None:
        """Tell workers when the next delayed job is due."""
        delayed = self.ranked(queue.name, JobState.DELAYED)
        if delayed:
            queue.due_token = delayed[0].rank / STEP
