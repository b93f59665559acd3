"""Doing in the real queues what the model does in its own, and comparing the two."""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import redis
from tests.property.lifecycle import adding as model_adding
from tests.property.lifecycle import running as model_running
from tests.property.lifecycle import scheduling
from tests.property.lifecycle.checks import check
from tests.property.lifecycle.looking import Picture, take_picture
from tests.property.lifecycle.running import Run
from tests.property.lifecycle.world import ModelJob, NewJob, World

from oxcart import JobOptions, JobSpec, JobState, ParentRef, Retention
from oxcart._store.call import Call
from oxcart._store.calls import adding, flows, reading, stepping
from oxcart._store.sync_store import SyncStore
from oxcart._wire.keys import QueueKeys

T = TypeVar("T")

LOCK_MS = 3_600_000
"""Longer than any run: what the server times out is let run out by removing its key."""


@dataclass(slots=True)
class Server:
    """The real server: scripts go through the store, looks through a plain client."""

    store: SyncStore
    client: redis.Redis


class Driver:
    """A world in the model and the same in the server.

    It is the clock of both.
    """

    def __init__(self, server: Server, *queues: str) -> None:
        self.server = server
        self.world = World(*queues)
        self.prefix = f"t{uuid.uuid4().hex[:12]}"
        self.keys = {name: QueueKeys(self.prefix, name) for name in queues}
        self.steps = 0

    def now_ms(self) -> int:
        """The time, for the scripts."""
        return self.world.now_ms

    def run(self, call: Call[T]) -> T:
        """Send a call."""
        return self.server.store.run(call)

    def add(self, new: NewJob) -> None:
        """Add a job on both sides."""
        keys = self.keys[new.queue]
        call = adding.add_jobs(keys, [self._encode(new)], clock=self, nonce=uuid.uuid4().hex)
        [added] = self.run(call)
        assert model_adding.add(self.world, new) == (added.job_id, added.status)

    def add_flow(self, nodes: Sequence[NewJob]) -> None:
        """Add a tree on both sides, its root first; the second sending changes nothing."""
        encoded = [
            flows.EncodedNode(self.keys[node.queue], self._encode(node), is_inner=at > 0)
            for at, node in enumerate(nodes)
        ]
        call = flows.add_flow(encoded, clock=self, nonce=uuid.uuid4().hex)
        found = [(added.job_id, added.status) for added in self.run(call)]
        if found[0][1] >= 0:
            assert found == [(added.job_id, added.status) for added in self.run(call)]
        assert model_adding.add_flow(self.world, nodes) == found

    def step(self, name: str, runs: list[Run], count: int) -> list[ModelJob]:
        """End runs and take jobs on both sides; gives the jobs taken.

        The step is sent twice: the second time it must change nothing and answer the same.
        """
        self.steps += 1
        token = f"t:{self.steps}"
        take = stepping.TakeRequest(count=count, token=token, lock_ms=LOCK_MS)
        call = stepping.step(
            self.keys[name],
            [self._ended(run) for run in runs],
            take,
            clock=self,
            worker_id="w",
            sequence=self.steps,
            metrics_size=5,
        )
        first, second = self.run(call), self.run(call)
        assert first.codes == second.codes
        taken = [job.job_id for job in first.taken]
        assert taken == [job.job_id for job in second.taken]
        queue = self.world.queues[name]
        codes = model_running.step(self.world, queue, runs, count, token)
        assert tuple(codes) == first.codes
        self._follow_taken(name, taken)
        held = [job for job in self.world.held(name) if job.token == token]
        assert {job.id for job in held} == set(taken)
        for job in first.taken:
            is_deferred = self.world.jobs[name, job.job_id].deferred is not None
            assert (b"defa" in job.fields) is is_deferred
        return held

    def _follow_taken(self, name: str, taken: Sequence[str]) -> None:
        """Make the jobs after those of intervals that a step took, as the step did."""
        client: Any = self.server.client
        for job_id in taken:
            job, queue = self.world.jobs[name, job_id], self.world.queues[name]
            scheduler = job.scheduler
            if scheduler is None or job is not scheduling.pending_of(self.world, queue, scheduler):
                continue
            due_ms = int(client.zscore(self.keys[name].repeat, scheduler))
            if due_ms != queue.schedulers[scheduler]:  # else the next slot had a job already
                scheduling.make_next(self.world, job, due_ms)

    def ended_by(self, job: ModelJob, token: str, run: Run) -> int:
        """The code of an end under some token; it must not change anything."""
        take = stepping.TakeRequest(count=0, token="", lock_ms=LOCK_MS)
        ended = self._ended(run, token=token)
        call = stepping.step(
            self.keys[job.queue], [ended], take, clock=self, worker_id="w", sequence=0
        )
        [code] = self.run(call).codes
        return code

    def check(self) -> None:
        """Compare the server with the model."""
        picture = take_picture(self.server.client, self.prefix, events_after="0-0")
        check(self.world, picture, self.prefix)
        self._check_events(picture)

    def check_getters(self) -> None:
        """What the getters answer must agree with the model, and so with one another."""
        for name, keys in self.keys.items():
            jobs = [job for job in self.world.jobs.values() if job.queue == name]
            ids = [job.id for job in jobs]
            assert [job.state for job in jobs] == self.run(reading.get_states(keys, ids))
            for state in set(JobState) - {JobState.UNKNOWN}:
                expected = {job.id for job in jobs if job.state is state}
                assert len(expected) == self.run(reading.count_state(keys, state))
                call = reading.range_of_state(keys, state, start=0, end=-1, ascending=True)
                found = self.run(call)
                assert sorted(expected) == sorted(found)
            records = self.run(reading.get_jobs(keys, ids))
            for job, record in zip(jobs, records, strict=True):
                assert record is not None
                assert record.corruption is None
                assert job.attempts_made == record.attempts_made
                assert job.dedup_id == record.deduplication_id

    def _check_events(self, picture: Picture) -> None:
        """What clients of the stream parse must be what they expect: else they stop for good."""
        for name, keys in self.keys.items():
            if f"{name}:events" not in picture:
                continue
            for _, fields in picture[f"{name}:events"].value:
                assert next(iter(fields)) == "event"
                json.loads(fields.get("returnvalue", "null"))
                int(fields.get("delay", "0"))
                int(fields.get("attemptsMade", "0"))
                needs_job = fields["event"] not in ("drained", "cleaned", "paused", "resumed")
                assert ("jobId" in fields) is needs_job
            self.server.client.delete(keys.events)  # read: the next look sees what is new

    def _encode(self, new: NewJob) -> adding.EncodedJob:
        options: dict[str, Any] = {"priority": new.priority, "lifo": new.is_lifo, "attempts": 3}
        if new.delay_ms:
            options["delay"] = f"{new.delay_ms}ms"
        if new.parent is not None:
            options["parent"] = ParentRef(queue=new.parent[0], id=new.parent[1])
            options["parent_on_failure"] = new.policy
        given = JobOptions(job_id=new.id, deduplication=new.dedup, **options)
        spec = JobSpec(name="work", options=given)
        return adding.encode_job(spec, prefix=self.prefix, has_children=new.has_children)

    def _ended(self, run: Run, *, token: str | None = None) -> stepping.EndedRun:
        return stepping.EndedRun(
            job_id=run.job.id,
            token=token or run.job.token or "",
            outcome=run.outcome,
            terms=stepping.Terms(attempts=3, lifo=run.job.is_lifo, keep=run.keep),
        )


KEEP_ALL = Retention.ALL
