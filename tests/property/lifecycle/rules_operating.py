"""Rules of operators: single jobs, all of a state, the queue itself."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule
from tests.property.lifecycle import operating
from tests.property.lifecycle.machine import NAMES, Machine, a_delay, a_pick, a_priority, a_queue
from tests.property.lifecycle.world import FINISHED, MANUAL, READY

from oxcart import JobState, RateLimit
from oxcart._store.calls import flows, limits, moving, sweeping, switching
from oxcart._wire.codes import Code
from oxcart._wire.keys import STATE_SUFFIXES

HOUR = 3_600_000
LIVE_STATES = tuple(state for state in JobState if state is not JobState.UNKNOWN)

has_jobs = precondition(lambda self: self.world.jobs)
has_finished = precondition(lambda self: self.jobs(*FINISHED))
seldom = precondition(lambda self: self.driver.steps % 4 == 3)


class JobRules(Machine):
    """What operators do to single jobs; half of it is refused."""

    @has_jobs
    @rule(pick=a_pick)
    def promote(self, pick: int) -> None:
        job = self.job(pick, JobState.DELAYED) or self.job(pick)
        assert job is not None
        code = self.driver.run(moving.promote(self.driver.keys[job.queue], job.id))
        assert operating.promote(self.world, job) == code

    @has_jobs
    @rule(pick=a_pick, delay_ms=a_delay)
    def change_delay(self, pick: int, delay_ms: int) -> None:
        job = self.job(pick, JobState.DELAYED) or self.job(pick)
        assert job is not None
        keys = self.driver.keys[job.queue]
        call = moving.change_delay(keys, job.id, f"{delay_ms}ms", clock=self.driver)
        code = self.driver.run(call)
        assert operating.change_delay(self.world, job, delay_ms) == code

    @has_jobs
    @rule(pick=a_pick, priority=a_priority, is_next=st.booleans(), ready=st.booleans())
    def change_priority(self, pick: int, priority: int, is_next: bool, ready: bool) -> None:
        job = (ready and self.job(pick, *READY)) or self.job(pick)
        assert job is not None
        keys = self.driver.keys[job.queue]
        code = self.driver.run(moving.change_priority(keys, job.id, priority, lifo=is_next))
        assert operating.change_priority(self.world, job, priority, is_next=is_next) == code

    @has_jobs
    @rule(pick=a_pick)
    def cancel(self, pick: int) -> None:
        job = self.job(pick)
        assert job is not None
        code = self.driver.run(moving.cancel(self.driver.keys[job.queue], job.id, "why"))
        assert operating.cancel(self.world, job, "why") == code

    @has_jobs
    @rule(pick=a_pick, state=st.sampled_from(FINISHED), resets=st.booleans())
    def retry_one(self, pick: int, state: JobState, resets: bool) -> None:
        job = self.job(pick, state) or self.job(pick)
        assert job is not None
        call = moving.reprocess(self.driver.keys[job.queue], job.id, state, resets_attempts=resets)
        code = self.driver.run(call)
        assert operating.reprocess(self.world, job, state, resets_attempts=resets) == code

    @has_jobs
    @rule(pick=a_pick, with_children=st.booleans())
    def remove(self, pick: int, with_children: bool) -> None:
        job = self.job(pick)
        assert job is not None
        keys = self.driver.keys[job.queue]
        code = self.driver.run(moving.remove(keys, job.id, with_children=with_children))
        expected = operating.remove_one(self.world, job.ref, with_children=with_children)
        assert expected == code

    @has_jobs
    @rule(pick=a_pick)
    def remove_unprocessed_children(self, pick: int) -> None:
        parents = [job for job in self.jobs() if job.pending]
        if parents:
            job = parents[pick % len(parents)]
            call = flows.remove_unprocessed_children(self.driver.keys[job.queue], job.id)
            following, removed = self.driver.run(call)
            assert following is None
            assert operating.remove_unprocessed(self.world, job.ref) == removed

    @has_jobs
    @rule(pick=a_pick)
    def cut_a_tie(self, pick: int) -> None:
        children = [job for job in self.jobs() if job.parent] or self.jobs()
        job = children[pick % len(children)]
        code = self.driver.run(flows.remove_child_dependency(self.driver.keys[job.queue], job.id))
        assert operating.cut_tie(self.world, job) == code

    @rule(queue=a_queue, name=st.sampled_from(NAMES))
    def job_that_is_gone_is_told(self, queue: str, name: str) -> None:
        if (queue, name) in self.world.jobs:
            return
        keys = self.driver.keys[queue]
        codes = [
            self.driver.run(moving.promote(keys, name)),
            self.driver.run(moving.change_delay(keys, name, "1s", clock=self.driver)),
            self.driver.run(moving.change_priority(keys, name, 1, lifo=False)),
            self.driver.run(moving.cancel(keys, name, "why")),
            self.driver.run(flows.remove_child_dependency(keys, name)),
        ]
        assert codes == [Code.NOT_IN_STATE] + [Code.JOB_MISSING] * 4


class SweepRules(Machine):
    """What operators do to many jobs at once."""

    @precondition(lambda self: self.jobs(JobState.DELAYED, *FINISHED))
    @rule(
        queue=a_queue,
        state=st.sampled_from([JobState.DELAYED, *FINISHED]),
        count=st.sampled_from([1, 2, 100]),
        ahead_ms=st.sampled_from([0, HOUR]),
    )
    def retry_or_promote_all(self, queue: str, state: JobState, count: int, ahead_ms: int) -> None:
        until_ms = self.world.now_ms + ahead_ms
        keys = self.driver.keys[queue]
        call = moving.reprocess_all(keys, state, count=count, until_ms=until_ms)
        found = self.driver.run(call)
        expected = operating.reprocess_all(
            self.world, self.queue(queue), state, count=count, until_ms=until_ms
        )
        assert expected == found

    @has_jobs
    @rule(
        queue=a_queue,
        state=st.sampled_from(LIVE_STATES),
        limit=st.integers(1, 3),
        grace_ms=st.sampled_from([0, 600]),
    )
    def clean(self, queue: str, state: JobState, limit: int, grace_ms: int) -> None:
        self.sweep(queue, state, limit=limit, newest_ms=self.world.now_ms - grace_ms)

    @seldom
    @rule(queue=a_queue, delayed=st.booleans())
    def drain(self, queue: str, delayed: bool) -> None:
        for state in (*READY, *([JobState.DELAYED] if delayed else [])):
            self.sweep(queue, state, limit=1_000, newest_ms=None)

    @seldom
    @rule(queue=a_queue, is_forced=st.booleans())
    def obliterate(self, queue: str, is_forced: bool) -> None:
        keys = self.driver.keys[queue]
        self.driver.run(switching.pause(keys))
        call = sweeping.obliterate(keys, count=3, is_forced=is_forced)
        while (code := self.driver.run(call)) == 1:
            pass
        is_done = operating.obliterate(self.world, self.queue(queue), is_forced=is_forced)
        assert code == (0 if is_done else -2)
        self.accept_order(next(name for name in self.driver.keys if name != queue))

    def sweep(self, queue: str, state: JobState, *, limit: int, newest_ms: int | None) -> None:
        """Clean or drain a state on both sides."""
        call = sweeping.sweep(
            self.driver.keys[queue],
            STATE_SUFFIXES[state],
            offset=0,
            limit=limit,
            newest_ms=newest_ms,
            emits=newest_ms is not None,
            scan=limit,
        )
        removed = self.driver.run(call).removed
        expected = operating.clean(
            self.world, self.queue(queue), state, limit=limit, newest_ms=newest_ms
        )
        assert expected == list(removed)

    def accept_order(self, queue: str) -> None:
        """Take over the order in which parents came to wait whose children went all at once."""
        found: Any = self.driver.server.client.lrange(self.driver.keys[queue].wait, 0, -1)
        ids = [job_id.decode() for job_id in found]
        assert sorted(ids) == sorted(self.queue(queue).wait)
        self.queue(queue).wait = ids


class LimitRules(Machine):
    """Pausing queues, and limiting how many jobs run or start."""

    @rule(queue=a_queue, is_paused=st.sampled_from([False, False, False, True]))
    def pause_or_resume(self, queue: str, is_paused: bool) -> None:
        if is_paused:
            self.driver.run(switching.pause(self.driver.keys[queue]))
            operating.pause(self.queue(queue))
        else:
            assert not self.driver.run(switching.resume(self.driver.keys[queue], is_first=True))
            operating.resume(self.world, self.queue(queue))

    @rule(queue=a_queue, most=st.sampled_from([None, None, 1, 2]))
    def limit_concurrency(self, queue: str, most: int | None) -> None:
        self.driver.run(limits.set_concurrency(self.driver.keys[queue], most))
        self.queue(queue).concurrency = most
        self.wake_if_ready(queue)

    @rule(queue=a_queue, most=st.sampled_from([None, None, 1, 3]))
    def limit_rate(self, queue: str, most: int | None) -> None:
        limit = None if most is None else RateLimit(max=most, per="1h")
        self.driver.run(limits.set_rate_limit(self.driver.keys[queue], limit))
        self.queue(queue).rate_max = most
        self.wake_if_ready(queue)

    @seldom
    @rule(queue=a_queue)
    def hold_back(self, queue: str) -> None:
        self.driver.run(limits.limit_manually(self.driver.keys[queue], HOUR))
        self.queue(queue).started = MANUAL

    @rule(queue=a_queue, is_lifted=st.booleans())
    def end_the_rate_window(self, queue: str, is_lifted: bool) -> None:
        model, keys = self.queue(queue), self.driver.keys[queue]
        had_window, model.started = model.started is not None, None
        if is_lifted:
            assert self.driver.run(limits.lift_rate_limit(keys)) is had_window
            if had_window:
                self.wake_if_ready(queue)
        else:  # its time is over
            self.driver.server.client.delete(keys.limiter)

    def wake_if_ready(self, queue: str) -> None:
        """What the settings do: wake a worker if jobs may be taken now."""
        if self.jobs(*READY, queue=queue):
            self.world.wake(self.queue(queue))
