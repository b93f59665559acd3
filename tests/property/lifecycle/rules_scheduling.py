"""Rules of schedulers: making, changing and removing them, and making the next jobs."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule
from tests.property.lifecycle import scheduling
from tests.property.lifecycle.machine import Machine, a_pick, a_queue
from tests.property.lifecycle.world import READY, ModelJob

from oxcart import JobOptions, JobSpec, JobState, Schedule
from oxcart._store.calls import scheduling as calls
from oxcart._store.calls.scheduling import Next, Upserted, encode_scheduler
from oxcart._wire.codes import Code
from oxcart._wire.schedule_codec import read_repeat

SCHEDULERS = ("s", "s:t")
FREE = (*READY, JobState.DELAYED)
MOST_JOBS = 20


class SchedulingRules(Machine):
    """What programs and workers do with schedulers."""

    @precondition(lambda self: len(self.world.jobs) < MOST_JOBS)
    @rule(
        queue=a_queue,
        scheduler=st.sampled_from(SCHEDULERS),
        every=st.sampled_from(["1s", "1s", "70s"]),
        offset=st.sampled_from([None, None, "300ms"]),
    )
    def upsert_a_scheduler(
        self, queue: str, scheduler: str, every: str, offset: str | None
    ) -> None:
        keys, model = self.driver.keys[queue], self.queue(queue)
        pending = scheduling.pending_of(self.world, model, scheduler)
        spec = JobSpec(name="tick", options=JobOptions(attempts=3))
        schedule = Schedule.every(every, offset=offset)
        encoded = encode_scheduler(scheduler, schedule, spec)
        upserted = self.driver.run(
            calls.upsert_scheduler(keys, encoded, due_ms=None, clock=self.driver)
        )
        if not isinstance(upserted, Upserted):
            assert upserted == Code.SLOTS_TAKEN
            return
        assert upserted.delay_ms == max(0, upserted.due_ms - self.world.now_ms)
        if pending is None:
            assert upserted.due_ms >= self.world.now_ms
        scheduling.upsert(self.world, model, scheduler, upserted.due_ms, priority=0)

    @precondition(lambda self: self.scheduled())
    @rule(pick=a_pick)
    def make_the_next_job(self, pick: int) -> None:
        taken = self.scheduled()[pick % len(self.scheduled())]
        model, keys = self.queue(taken.queue), self.driver.keys[taken.queue]
        assert taken.scheduler is not None
        client: Any = self.driver.server.client
        repeat = read_repeat(client.hget(keys.job(taken.id), "opts"))
        found = self.driver.run(
            calls.make_next_iteration(
                keys, taken.scheduler, taken.id, repeat, due_ms=None, priority=0, lifo=False,
                clock=self.driver,
            )
        )  # fmt: skip
        before = model.schedulers.get(taken.scheduler)
        if taken is not scheduling.pending_of(self.world, model, taken.scheduler):
            assert found is Next.NOT_PENDING
        elif found is not Next.DUPLICATE:
            assert found is Next.MADE
            due_ms = int(client.zscore(keys.repeat, taken.scheduler))
            assert before is not None
            assert due_ms > before
            scheduling.make_next(self.world, taken, due_ms)

    @precondition(lambda self: self.queue("q").schedulers or self.queue("r").schedulers)
    @rule(queue=a_queue, scheduler=st.sampled_from(SCHEDULERS))
    def remove_a_scheduler(self, queue: str, scheduler: str) -> None:
        call = calls.remove_scheduler(self.driver.keys[queue], scheduler)
        removed = self.driver.run(call)
        assert scheduling.forget(self.world, self.queue(queue), scheduler) is removed

    def scheduled(self) -> list[ModelJob]:
        """The jobs of schedulers that a worker holds."""
        return [job for job in self.world.held() if job.scheduler]
