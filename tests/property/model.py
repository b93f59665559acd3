"""A queue in plain Python: what the scripts must do, said a second time."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from oxcart import JobState
from oxcart._model.states import MOVES

READY = (JobState.WAITING, JobState.PRIORITIZED)


@dataclass(slots=True)
class ModelJob:
    """A job as the model knows it."""

    priority: int
    is_lifo: bool
    state: JobState = JobState.UNKNOWN
    attempts_made: int = 0
    stalled_count: int = 0
    token: str | None = None


@dataclass(slots=True)
class ModelQueue:
    """A queue of such jobs.

    Attributes:
        jobs: every job there is.
        waiting: ids in their order, next at the right.
        due: ids of delayed jobs, earliest first, each with its due ms.
        suspects: active at the last stalled check, and neither renewed nor ended since; they stay
            so when they are removed, even if a job of the same id comes after them.
    """

    now_ms: int = 1_700_000_000_000
    is_paused: bool = False
    jobs: dict[str, ModelJob] = field(default_factory=dict)
    waiting: deque[str] = field(default_factory=deque)
    due: list[tuple[int, str]] = field(default_factory=list)
    suspects: set[str] = field(default_factory=set)

    def ids(self, *states: JobState) -> list[str]:
        """The ids in one of the states."""
        return [job_id for job_id, job in self.jobs.items() if job.state in states]

    def add(self, job_id: str, job: ModelJob, *, delay_ms: int) -> None:
        """Add a job."""
        self.jobs[job_id] = job
        if delay_ms:
            self._to_delayed("add", job_id, delay_ms)
        else:
            self._to_ready("add", job_id, is_next=job.is_lifo)

    def take(self, job_ids: list[str], token: str, count: int) -> None:
        """Take jobs: those that the queue gave must be the right ones."""
        self.promote_due()
        expected = 0 if self.is_paused else min(count, len(self.ids(*READY)))
        assert expected == len(job_ids)
        for job_id in job_ids:
            if self.waiting:
                assert self.waiting[-1] == job_id
            else:
                ranked = self.ids(JobState.PRIORITIZED)
                best = min(self.jobs[each].priority for each in ranked)
                assert best == self.jobs[job_id].priority
            self._move("take", job_id, JobState.ACTIVE)
            self.jobs[job_id].token = token

    def finish(self, job_id: str, *, is_success: bool, is_kept: bool) -> None:
        """End a job for good."""
        self._let_go(job_id).attempts_made += 1
        if is_success:
            self._move("complete", job_id, JobState.COMPLETED if is_kept else JobState.UNKNOWN)
        else:
            self._move("fail", job_id, JobState.FAILED if is_kept else JobState.UNKNOWN)

    def retry(self, job_id: str, *, delay_ms: int) -> None:
        """Count an attempt and run again."""
        if not delay_ms:
            self.promote_due()
        self._let_go(job_id).attempts_made += 1
        if delay_ms:
            self._to_delayed("retry", job_id, delay_ms)
        else:
            self._to_ready("retry", job_id, is_next=self.jobs[job_id].is_lifo)

    def delay(self, job_id: str, *, delay_ms: int) -> None:
        """Run again later, without an attempt."""
        self._let_go(job_id)
        self._to_delayed("delay", job_id, delay_ms)

    def give_back(self, job_id: str) -> None:
        """Put back to where it is taken from next, without an attempt."""
        self._let_go(job_id)
        self._to_ready("give_back", job_id, is_next=True)

    def check_stalled(self, recovered: list[str]) -> None:
        """Recover what lost its lock since the last check."""
        lost = {job_id for job_id in self.ids(JobState.ACTIVE) if self.jobs[job_id].token is None}
        assert lost & self.suspects == set(recovered)
        for job_id in recovered:
            self.jobs[job_id].stalled_count += 1
            self._move("recover", job_id, JobState.WAITING)
            self.waiting.append(job_id)
        self.suspects = set(self.ids(JobState.ACTIVE))

    def promote(self, job_id: str) -> None:
        """Make a delayed job ready."""
        self._to_ready("promote", job_id, is_next=False)

    def promote_due(self) -> None:
        """Make ready what is due."""
        for _, job_id in [entry for entry in self.due if entry[0] <= self.now_ms]:
            self.promote(job_id)

    def reprocess(self, job_id: str, *, resets_attempts: bool) -> None:
        """Put a finished job back."""
        self._to_ready("reprocess", job_id, is_next=self.jobs[job_id].is_lifo)
        if resets_attempts:
            self.jobs[job_id].attempts_made = 0

    def reprocess_all(self, job_ids: list[str]) -> None:
        """Put finished jobs back to wait, all behind, whatever their priority."""
        for job_id in job_ids:
            self._move("reprocess", job_id, JobState.WAITING)
            self.waiting.appendleft(job_id)

    def remove(self, job_id: str) -> None:
        """Remove a job that no worker holds."""
        job = self.jobs[job_id]
        assert job.token is None
        if job.state is JobState.ACTIVE:  # its lock ran out: nobody holds it
            del self.jobs[job_id]
        else:
            self._move("remove", job_id, JobState.UNKNOWN)

    def _let_go(self, job_id: str) -> ModelJob:
        job = self.jobs[job_id]
        job.token = None
        self.suspects.discard(job_id)
        return job

    def _to_ready(self, move: str, job_id: str, *, is_next: bool) -> None:
        if self.jobs[job_id].priority:
            self._move(move, job_id, JobState.PRIORITIZED)
            return
        self._move(move, job_id, JobState.WAITING)
        if is_next:
            self.waiting.append(job_id)
        else:
            self.waiting.appendleft(job_id)

    def _to_delayed(self, move: str, job_id: str, delay_ms: int) -> None:
        self._move(move, job_id, JobState.DELAYED)
        self.due.append((self.now_ms + delay_ms, job_id))
        self.due.sort(key=lambda entry: entry[0])  # stable: added later is due later

    def _move(self, move: str, job_id: str, to: JobState) -> None:
        """Change a state, which the table of moves must allow."""
        job = self.jobs[job_id]
        sources, targets = MOVES[move]
        assert job.state in sources, f"{move} from {job.state}"
        assert to in targets, f"{move} to {to}"
        if job.state is JobState.WAITING:
            self.waiting.remove(job_id)
        if job.state is JobState.DELAYED:
            self.due = [entry for entry in self.due if entry[1] != job_id]
        job.state = to
        if to is JobState.UNKNOWN:
            del self.jobs[job_id]
