"""Rules of workers: taking, ending, holding and losing jobs."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule
from tests.property.lifecycle.driver import KEEP_ALL, LOCK_MS
from tests.property.lifecycle.ending import end_of, recover
from tests.property.lifecycle.machine import Machine, a_delay, a_pick, a_queue, chosen
from tests.property.lifecycle.running import Run
from tests.property.lifecycle.world import READY

from oxcart import JobState, Retention
from oxcart._model.outcome import (
    Completed,
    Delayed,
    Failed,
    GivenBack,
    Outcome,
    RateLimited,
    Retried,
    WaitingForChildren,
)
from oxcart._store.calls import holding
from oxcart._wire.codes import Code

HOUR = 3_600_000

an_outcome: st.SearchStrategy[Outcome] = st.one_of(
    st.just(Completed(b"1")),
    st.just(Completed(b'{"a":[]}')),
    st.just(Failed("no", "trace")),
    st.just(Failed("no", "trace")),
    st.builds(Retried, st.just("no"), st.just("trace"), a_delay),
    st.builds(Delayed, a_delay),
    st.builds(Delayed, st.just(0), st.integers(1_699_999_999_000, 1_700_000_100_000)),
    st.just(GivenBack()),
    st.just(WaitingForChildren()),
    st.just(RateLimited(HOUR)),
)
a_retention = st.sampled_from(
    [
        Retention.ALL, Retention.ALL, Retention.ALL, Retention.NONE, Retention(count=1),
        Retention(count=2), Retention(age="1s"), Retention(age="1s", count=1, limit=1),
    ]
)  # fmt: skip
some_ends = st.lists(st.tuples(an_outcome, a_retention), min_size=1, max_size=3)


class RunningRules(Machine):
    """What workers do."""

    @precondition(lambda self: self.jobs(*READY, JobState.DELAYED))
    @rule(queue=a_queue, count=st.integers(1, 4), after_ms=st.sampled_from([0, 1, 700, 70_000]))
    def take(self, queue: str, count: int, after_ms: int) -> None:
        self.wait(after_ms)
        self.wake_up(queue)
        self.driver.step(queue, [], count)

    @precondition(lambda self: self.jobs(*READY, JobState.DELAYED))
    @rule(queue=a_queue, count=st.integers(1, 4), ends=some_ends, more=st.integers(0, 3))
    def take_then_end_and_take(
        self, queue: str, count: int, ends: list[tuple[Outcome, Retention]], more: int
    ) -> None:
        self.wake_up(queue)
        self.driver.step(queue, [], count)
        self.end_some(queue, ends, more)

    @precondition(lambda self: self.jobs(*READY, JobState.DELAYED))
    @rule(queue=a_queue, count=st.integers(1, 5), fails=st.booleans(), keep=a_retention)
    def work_off(self, queue: str, count: int, fails: bool, keep: Retention) -> None:
        self.wait(70_000)
        self.wake_up(queue)
        taken = self.driver.step(queue, [], count)
        runs = []
        for number, job in enumerate(taken):
            outcome = Failed("no", "") if fails and number % 2 == 0 else end_of(job)
            runs.append(Run(job, outcome, keep))
        self.driver.step(queue, runs, 0)

    @precondition(lambda self: self.world.held())
    @rule(pick=a_pick, ends=some_ends, more=st.integers(0, 3), after_ms=st.sampled_from([0, 1_000]))
    def end_and_take(
        self, pick: int, ends: list[tuple[Outcome, Retention]], more: int, after_ms: int
    ) -> None:
        self.wait(after_ms)
        self.end_some(chosen(self.world.held(), pick).queue, ends, more)

    @precondition(lambda self: self.world.held())
    @rule(pick=a_pick)
    def lose_a_lock(self, pick: int) -> None:
        job = chosen(self.world.held(), pick)
        self.driver.server.client.delete(self.driver.keys[job.queue].lock(job.id))
        job.token = None

    @precondition(lambda self: self.jobs(JobState.ACTIVE))
    @rule(queue=a_queue)
    def renew_locks(self, queue: str) -> None:
        active = self.jobs(JobState.ACTIVE, queue=queue)
        holds = [(job.id, job.token or "old") for job in active]
        call = holding.extend_locks(self.driver.keys[queue], holds, lock_ms=LOCK_MS)
        lost = self.driver.run(call)

        assert [job.id for job in active if job.token is None] == lost
        self.queue(queue).suspects -= {job.id for job in active} - set(lost)

    @precondition(lambda self: self.jobs(JobState.ACTIVE))
    @rule(queue=a_queue, most=st.integers(0, 1))
    def check_stalled(self, queue: str, most: int) -> None:
        recover(self.driver, queue, most=most)

    @precondition(lambda self: self.world.jobs)
    @rule(pick=a_pick)
    def nobody_ends_a_job_under_a_strange_token(self, pick: int) -> None:
        job = self.job(pick)
        assert job is not None
        expected = Code.LOCK_MISSING if job.token is None else Code.LOCK_MISMATCH
        run = Run(job, Failed("no", "trace"), KEEP_ALL)

        assert self.driver.ended_by(job, "strange", run) == expected

    def wait(self, ms: int) -> None:
        """Let time pass."""
        self.world.now_ms += ms

    def wake_up(self, queue: str) -> None:
        """Take what woke the worker, if anything did: else it looks by the clock."""
        self.driver.server.client.zpopmin(self.driver.keys[queue].marker)
        model = self.queue(queue)
        if model.is_awake:
            model.is_awake = False
            model.may_sleep = True  # this worker is about to look
        else:
            model.due_token = None

    def end_some(self, queue: str, ends: list[tuple[Outcome, Retention]], more: int) -> None:
        """End some of the held jobs, and take others, in one step."""
        held = self.world.held(queue)
        runs = [Run(job, outcome, keep) for job, (outcome, keep) in zip(held, ends, strict=False)]
        self.driver.step(queue, runs, more)
