"""The life of jobs, in any order of moves, against a model in plain Python."""

from __future__ import annotations

import uuid
from typing import Any, TypeVar

import redis
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from tests.partition import check_partition
from tests.property.model import READY, ModelJob, ModelQueue

from oxcart import JobOptions, JobSpec, JobState, Retention
from oxcart._model.outcome import Completed, Delayed, Failed, GivenBack, Outcome, Retried
from oxcart._store.call import Call
from oxcart._store.calls import adding, holding, moving, reading, stepping, sweeping, switching
from oxcart._store.location import Location
from oxcart._store.sync_store import SyncStore
from oxcart._wire.codes import Code
from oxcart._wire.keys import STATE_SUFFIXES, QueueKeys

T = TypeVar("T")

QUEUE = "q"
LOCK_MS = 3_600_000
NAMES = [f"job-{number}" for number in range(6)]
FINISHED = (JobState.COMPLETED, JobState.FAILED)

a_name = st.sampled_from(NAMES)
a_pick = st.integers(0, 1_000)
a_delay = st.sampled_from([0, 0, 1, 500, 60_000])
a_while = st.sampled_from([1, 499, 70_000])
a_few = st.integers(0, 4)
an_outcome: st.SearchStrategy[Outcome] = st.one_of(
    st.just(Completed(b"1")),
    st.just(Failed("no", "trace")),
    st.builds(Retried, st.just("no"), st.just("trace"), a_delay),
    st.builds(Delayed, a_delay.filter(bool)),
    st.just(GivenBack()),
)
some_outcomes = st.lists(
    st.tuples(an_outcome, st.sampled_from([True, True, True, False])), min_size=1, max_size=3
)


class QueueMachine(RuleBasedStateMachine):
    """Moves jobs in a real queue and in the model, and compares them after each move."""

    store: SyncStore
    client: redis.Redis

    @initialize(priorities=st.lists(st.sampled_from([0, 0, 1, 7]), min_size=2, max_size=4))
    def open(self, priorities: list[int]) -> None:
        self.model = ModelQueue()
        self.prefix = f"t{uuid.uuid4().hex[:12]}"
        self.keys = QueueKeys(self.prefix, QUEUE)
        self.steps = 0
        for name, priority in zip(NAMES, priorities, strict=False):
            self.run_add(name, priority, is_lifo=False, delay_ms=0)
            self.model.add(name, ModelJob(priority, is_lifo=False), delay_ms=0)

    def now_ms(self) -> int:
        """The time, for the scripts: the machine is their clock."""
        return self.model.now_ms

    @precondition(lambda self: len(self.model.jobs) < len(NAMES))
    @rule(
        pick=a_pick,
        priority=st.sampled_from([0, 0, 1, 7]),
        is_lifo=st.booleans(),
        delay_ms=a_delay,
    )
    def add(self, pick: int, priority: int, is_lifo: bool, delay_ms: int) -> None:
        name = chosen(list(set(NAMES) - set(self.model.jobs)), pick)

        assert self.run_add(name, priority, is_lifo, delay_ms).is_new
        self.model.add(name, ModelJob(priority, is_lifo), delay_ms=delay_ms)

    @precondition(lambda self: self.model.ids(*READY, JobState.DELAYED))
    @rule(count=st.integers(1, 4), after_ms=a_while)
    def take(self, count: int, after_ms: int) -> None:
        self.take_some(count, after_ms)

    @precondition(lambda self: self.model.ids(*READY, JobState.DELAYED))
    @rule(count=st.integers(1, 4), after_ms=a_while, outcomes=some_outcomes, more=a_few)
    def take_then_end_and_take(
        self, count: int, after_ms: int, outcomes: list[tuple[Outcome, bool]], more: int
    ) -> None:
        self.take_some(count, after_ms)
        self.end_some(outcomes, more)

    @precondition(lambda self: self.held())
    @rule(outcomes=some_outcomes, more=a_few)
    def end_and_take(self, outcomes: list[tuple[Outcome, bool]], more: int) -> None:
        self.end_some(outcomes, more)

    @precondition(lambda self: self.held())
    @rule(pick=a_pick)
    def lose_a_lock(self, pick: int) -> None:
        job_id = chosen(self.held(), pick)
        self.client.delete(self.keys.lock(job_id))
        self.model.jobs[job_id].token = None

    @precondition(lambda self: self.model.ids(JobState.ACTIVE))
    @rule()
    def renew_locks(self) -> None:
        active = self.model.ids(JobState.ACTIVE)
        holds = [(job_id, self.model.jobs[job_id].token or "old") for job_id in active]
        lost = self.run(holding.extend_locks(self.keys, holds, lock_ms=LOCK_MS))

        assert [job_id for job_id in active if self.model.jobs[job_id].token is None] == lost
        self.model.suspects -= set(active) - set(lost)

    @precondition(lambda self: self.model.ids(JobState.ACTIVE))
    @rule()
    def check_stalled(self) -> None:
        self.client.delete(self.keys.stalled_check)
        call = holding.recover_stalled(self.keys, clock=self, interval_ms=1_000, max_stalled=1)
        self.model.check_stalled(self.run(call))

    @precondition(lambda self: self.model.ids(JobState.DELAYED))
    @rule(pick=a_pick)
    def promote(self, pick: int) -> None:
        job_id = chosen(self.model.ids(JobState.DELAYED), pick)

        assert Code.OK == self.run(moving.promote(self.keys, job_id))
        self.model.promote(job_id)

    @precondition(lambda self: self.model.ids(*FINISHED))
    @rule(pick=a_pick, resets_attempts=st.booleans())
    def reprocess(self, pick: int, resets_attempts: bool) -> None:
        job_id = chosen(self.model.ids(*FINISHED), pick)
        state = self.model.jobs[job_id].state
        call = moving.reprocess(self.keys, job_id, state, resets_attempts=resets_attempts)

        assert Code.OK == self.run(call)
        self.model.reprocess(job_id, resets_attempts=resets_attempts)

    @precondition(lambda self: self.model.ids(*FINISHED))
    @rule(state=st.sampled_from(FINISHED), count=st.integers(1, 3))
    def reprocess_all(self, state: JobState, count: int) -> None:
        oldest: Any = self.client.zrange(self.keys.of_state(state), 0, count - 1)
        expected = [job_id.decode() for job_id in oldest]
        call = moving.reprocess_all(self.keys, state, count=count, until_ms=self.model.now_ms)

        assert (len(expected), len(expected) == count) == self.run(call)
        self.model.reprocess_all(expected)

    @precondition(lambda self: len(self.model.jobs) > 3)
    @rule(pick=a_pick)
    def remove(self, pick: int) -> None:
        job_id = chosen(list(self.model.jobs), pick)
        removed = self.run(moving.remove(self.keys, job_id, with_children=True))

        assert (self.model.jobs[job_id].token is None) is (removed == 1)
        if removed:
            self.model.remove(job_id)

    @precondition(lambda self: len(self.model.jobs) > 3)
    @rule(pick=a_pick, limit=st.integers(1, 3))
    def clean(self, pick: int, limit: int) -> None:
        state = self.model.jobs[chosen(list(self.model.jobs), pick)].state
        candidates = {
            job_id for job_id in self.model.ids(state) if self.model.jobs[job_id].token is None
        }
        call = sweeping.sweep(
            self.keys,
            STATE_SUFFIXES[state],
            offset=0,
            limit=limit,
            newest_ms=self.model.now_ms,
            emits=True,
        )
        removed = self.run(call).removed

        assert min(limit, len(candidates)) == len(removed)
        assert set(removed) <= candidates
        for job_id in removed:
            self.model.remove(job_id)

    @rule(is_paused=st.sampled_from([False, False, False, True]))
    def pause_or_resume(self, is_paused: bool) -> None:
        if is_paused:
            self.run(switching.pause(self.keys))
        else:
            assert not self.run(switching.resume(self.keys, is_first=True))
        self.model.is_paused = is_paused

    @rule(name=a_name)
    def moves_from_another_state_are_refused(self, name: str) -> None:
        job = self.model.jobs.get(name)
        state = JobState.UNKNOWN if job is None else job.state
        if job is not None:
            assert not self.run_add(name, 0, is_lifo=False, delay_ms=0).is_new
        if state is not JobState.DELAYED:
            assert Code.NOT_IN_STATE == self.run(moving.promote(self.keys, name))
        for finished in set(FINISHED) - {state}:
            call = moving.reprocess(self.keys, name, finished, resets_attempts=True)
            expected = Code.JOB_MISSING if job is None else Code.NOT_IN_STATE
            assert expected == self.run(call)
        self.check_strange_end(name)

    def check_strange_end(self, name: str) -> None:
        """Check that nobody may end a job under a token that it is not held under."""
        job = self.model.jobs.get(name)
        expected = Code.LOCK_MISSING if job is None or job.token is None else Code.LOCK_MISMATCH
        if job is None:
            expected = Code.JOB_MISSING
        run = self.ended(name, Completed(b"1"), token="strange")

        assert (expected,) == self.step([run], 0).codes

    @invariant()
    def states_are_a_partition_and_are_those_of_the_model(self) -> None:
        if not hasattr(self, "model"):
            return
        partition = check_partition(self.client, self.prefix, QUEUE, locks_may_be_gone=True)
        jobs = self.model.jobs
        assert {name: STATE_SUFFIXES[job.state] for name, job in jobs.items()} == partition.states
        assert set(self.held()) == partition.locks
        waiting: Any = self.client.lrange(self.keys.wait, 0, -1)
        assert list(self.model.waiting) == [job_id.decode() for job_id in waiting]

    @invariant()
    def a_worker_is_woken_while_jobs_wait(self) -> None:
        # Of waiting jobs only: a job with a priority that is given back wakes nobody, as in BullMQ.
        if hasattr(self, "model") and self.model.waiting and not self.model.is_paused:
            assert self.client.zscore(self.keys.marker, "0") == 0

    def teardown(self) -> None:
        if not hasattr(self, "model"):
            return
        states = self.run(reading.get_states(self.keys, NAMES))
        jobs = [self.model.jobs.get(name) for name in NAMES]
        assert [JobState.UNKNOWN if job is None else job.state for job in jobs] == states
        for name, job in self.model.jobs.items():
            record = self.run(reading.get_job(self.keys, name))
            assert record is not None
            assert (job.attempts_made, job.stalled_count, job.priority) == (
                record.attempts_made,
                record.stalled_count,
                record.priority,
            )

    def held(self) -> list[str]:
        """The jobs that a worker holds."""
        return [job_id for job_id, job in self.model.jobs.items() if job.token is not None]

    def end_some(self, outcomes: list[tuple[Outcome, bool]], more: int) -> None:
        """End some of the held jobs, and take others, in one step."""
        ends = list(zip(sorted(self.held()), outcomes, strict=False))
        runs = [self.ended(job_id, outcome, is_kept=kept) for job_id, (outcome, kept) in ends]
        reply = self.step(runs, more)

        assert (Code.OK,) * len(runs) == reply.codes
        for job_id, (outcome, is_kept) in ends:
            self.settle(job_id, outcome, is_kept=is_kept)
        if more:
            self.take_from(reply, more)

    def run_add(self, name: str, priority: int, is_lifo: bool, delay_ms: int) -> adding.Added:
        options = JobOptions(
            job_id=name, priority=priority, lifo=is_lifo, delay=f"{delay_ms}ms", attempts=3
        )
        job = adding.encode_job(JobSpec(name="work", options=options), prefix=self.prefix)
        call = adding.add_jobs(self.keys, [job], clock=self, nonce=uuid.uuid4().hex)
        [added] = self.run(call)
        return added

    def take_some(self, count: int, after_ms: int) -> None:
        """Let time pass, and take jobs."""
        self.model.now_ms += after_ms
        self.client.zpopmin(self.keys.marker)  # what woke the worker
        self.take_from(self.step([], count), count)

    def take_from(self, reply: stepping.StepReply, count: int) -> None:
        taken = [job.job_id for job in reply.taken]
        self.model.take(taken, reply.taken[0].token if taken else "", count)

    def settle(self, job_id: str, outcome: Outcome, *, is_kept: bool) -> None:
        """Do in the model what the outcome does to its job."""
        match outcome:
            case Completed() | Failed():
                is_success = isinstance(outcome, Completed)
                self.model.finish(job_id, is_success=is_success, is_kept=is_kept)
            case Retried(delay_ms=delay_ms):
                self.model.retry(job_id, delay_ms=delay_ms)
            case Delayed(delay_ms=delay_ms):
                self.model.delay(job_id, delay_ms=delay_ms)
            case _:
                self.model.give_back(job_id)

    def ended(
        self, job_id: str, outcome: Outcome, *, token: str | None = None, is_kept: bool = True
    ) -> stepping.EndedRun:
        job = self.model.jobs.get(job_id)
        return stepping.EndedRun(
            job_id=job_id,
            token=token or (job and job.token) or "",
            outcome=outcome,
            attempts=3,
            lifo=job is not None and job.is_lifo,
            keep=Retention.ALL if is_kept else Retention.NONE,
        )

    def step(self, runs: list[stepping.EndedRun], count: int) -> stepping.StepReply:
        """Send a step twice: the second time it must change nothing and answer the same."""
        self.steps += 1
        take = stepping.TakeRequest(count=count, token=f"t:{self.steps}", lock_ms=LOCK_MS)
        call = stepping.step(self.keys, runs, take, clock=self, worker_id="w", sequence=self.steps)
        first, second = self.run(call), self.run(call)
        assert first.codes == second.codes
        assert [job.job_id for job in first.taken] == [job.job_id for job in second.taken]
        return first

    def run(self, call: Call[T]) -> T:
        return self.store.run(call)


def chosen(names: list[str], pick: int) -> str:
    """One of the names; which one is stable while Hypothesis shrinks."""
    return sorted(names)[pick % len(names)]


def test_jobs_stand_where_the_model_says_after_any_moves(
    valkey_url: str, valkey: redis.Redis
) -> None:
    store = SyncStore(Location.at(valkey_url))
    machine = type("Machine", (QueueMachine,), {"store": store, "client": valkey})
    try:
        run_state_machine_as_test(
            machine,
            settings=settings(
                max_examples=60,
                phases=[Phase.reuse, Phase.generate],  # shrinking takes minutes
                print_blob=True,
                stateful_step_count=50,
                deadline=None,
                suppress_health_check=list(HealthCheck),
            ),
        )
    finally:
        store.close()
