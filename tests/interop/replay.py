"""Replays a vector's steps through oxcart.

Each operation is a method named after it. Steps that a queue's public method can make are made by
it, the moves of a worker by the typed calls that a worker makes.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import redis
from tests.interop import node_options, older_release
from tests.interop.vectors import Step

from oxcart import Queue, Retention
from oxcart._model.outcome import Completed, Delayed, Failure, GivenBack, Outcome, Retried, decide
from oxcart._model.states import JobState
from oxcart._store.calls import adding, holding, moving, reading
from oxcart._store.calls.stepping import EndedRun, StepReply, TakeRequest
from oxcart._store.calls.stepping import step as worker_step
from oxcart._store.location import Location
from oxcart._store.store import Store
from oxcart._wire.codec import encode_json
from oxcart._wire.keys import QueueKeys
from oxcart.errors import ConfigError, PayloadError

PREFIX = "bull"
LOCK_MS = 30_000
CLOSED_OPS = {"take", "complete", "fail", "stalledCheck", "extendLocks", "startWorker", "redis"}
"""Operations that do not open the queue for writing."""
ACCEPTED_BY_NODE_ONLY = {"a:b:c"}
"""Job ids that BullMQ takes and oxcart refuses on purpose: they break the removal of parents."""
STATES = {
    "wait": JobState.WAITING,
    "waiting": JobState.WAITING,
    "active": JobState.ACTIVE,
    "delayed": JobState.DELAYED,
    "prioritized": JobState.PRIORITIZED,
    "waiting-children": JobState.WAITING_CHILDREN,
    "completed": JobState.COMPLETED,
    "failed": JobState.FAILED,
}


class VectorClock:
    """The clock of the step being replayed."""

    def __init__(self) -> None:
        self.ms = 0

    def now_ms(self) -> int:
        return self.ms


class Replay:
    """The state of one replay: an empty database, a clock, the queues opened so far."""

    def __init__(self, url: str, client: redis.Redis) -> None:
        self.url = url
        self.client = client
        self.clock = VectorClock()
        self.store = Store(Location.at(url))
        self._queues: dict[str, Queue] = {}
        self._opened: set[str] = set()

    async def play(self, step: Step) -> Any:
        """Make one step; its result in the vector's form."""
        self.clock.ms = step["now"]
        operation = step["op"]
        if operation not in CLOSED_OPS | {"tick", "queue"}:
            await self._open(step["queue"])
        method = getattr(self, f"do_{operation}")
        return await method(step)

    @classmethod
    def supports(cls, operation: str) -> bool:
        """Whether an operation can be replayed."""
        return hasattr(cls, f"do_{operation}")

    async def aclose(self) -> None:
        """Close the connections."""
        await self.store.aclose()

    # The queue itself.

    async def do_tick(self, step: Step) -> None:
        del step

    async def do_redis(self, step: Step) -> Any:
        reply = self.client.execute_command(*step["cmd"])
        return "OK" if reply is True or reply == b"OK" else reply

    async def do_queue(self, step: Step) -> str:
        options = step["opts"]
        length = options.get("streams", {}).get("events", {}).get("maxLen")
        queue = self.queue(step["queue"], events_length=length)
        if options.get("skipMetasUpdate"):
            queue._is_open = True
            self._opened.add(step["queue"])
        else:
            await self._open(step["queue"])
        return "created"

    async def do_pause(self, step: Step) -> str:
        if "library" in step:
            return older_release.pause(self.client, self.keys(step).base)
        await self.queue_of(step).pause()
        return "ok"

    async def do_resume(self, step: Step) -> str:
        if "library" in step:
            return older_release.resume(self.client, self.keys(step).base)
        await self.queue_of(step).resume()
        return "ok"

    async def do_drain(self, step: Step) -> str:
        await self.queue_of(step).drain(delayed=step["delayed"])
        return "ok"

    async def do_clean(self, step: Step) -> list[str]:
        return await self.queue_of(step).clean(
            f"{step['grace']}ms", limit=step["limit"], state=STATES[step["type"]]
        )

    # Adding.

    async def do_add(self, step: Step) -> Any:
        if "library" in step:
            return older_release.add(self.client, self.keys(step).base, step)
        if step["result"] == {"refused": True} and not supports_options(step):
            return step["result"]  # an option that is not there yet cannot be given wrongly
        if (step.get("opts") or {}).get("jobId") in ACCEPTED_BY_NODE_ONLY:
            return await self._add_beneath_the_check(step)
        try:
            job = await self.queue_of(step).add_spec(node_options.spec_of(step))
        except (ConfigError, PayloadError):
            return {"refused": True}
        return {"jobId": job.id}

    async def do_addBulk(self, step: Step) -> Any:  # noqa: N802
        specs = [node_options.spec_of(job) for job in step["jobs"]]
        jobs = await self.queue_of(step).add_many(specs)
        return {"jobIds": [job.id for job in jobs]}

    async def _add_beneath_the_check(self, step: Step) -> Any:
        job_id = step["opts"]["jobId"]
        try:
            node_options.spec_of(step)
        except ConfigError:
            plain = node_options.spec_of({**step, "opts": {**step["opts"], "jobId": None}})
            encoded = adding.encode_job(plain)
            options = encoded.options.replace(b"{", b'{"jobId":"%s",' % job_id.encode(), 1)
            words = (job_id, *encoded.words[1:3], options, *encoded.words[4:])
            job = replace(encoded, words=words)
            call = adding.add_jobs(self.keys(step), [job], clock=self.clock, nonce=job_id)
            return {"jobId": (await self.store.run(call))[0].job_id}
        raise AssertionError(f"oxcart accepts {job_id!r}; take it out of the table")

    # A worker's moves.

    async def do_take(self, step: Step) -> Any:
        return _fetched(await self._step(step, [], 1))

    async def do_complete(self, step: Step) -> Any:
        value = step.get("returnvalue")
        outcome = Completed(encode_json(value, what="the value"))
        return await self._end(step, outcome)

    async def do_fail(self, step: Step) -> Any:
        record = await self.store.run(reading.get_job(self.keys(step), step["jobId"]))
        if record is None:
            return {"error": -1}
        failure = Failure(
            reason=step["reason"],
            trace="a traceback",
            is_permanent=step.get("unrecoverable", False),
        )
        outcome = decide(
            failure,
            attempts_made=record.attempts_made,
            max_attempts=record.options.max_attempts,
            backoff=record.options.backoff,
            random=lambda: 0.5,
        )
        return await self._end(step, outcome)

    async def do_moveToDelayed(self, step: Step) -> Any:  # noqa: N802
        reply = await self._step(step, [self._run(step, Delayed(0, until_ms=step["timestamp"]))], 0)
        return {"error": reply.codes[0]} if reply.codes[0] else "ok"

    async def do_moveToWait(self, step: Step) -> Any:  # noqa: N802
        reply = await self._step(step, [self._run(step, GivenBack())], 0)
        return {"error": reply.codes[0]} if reply.codes[0] else 0

    async def do_extendLock(self, step: Step) -> int:  # noqa: N802
        hold = [(step["jobId"], step["token"])]
        call = holding.extend_locks(self.keys(step), hold, lock_ms=step["duration"])
        return 0 if await self.store.run(call) else 1

    async def do_extendLocks(self, step: Step) -> list[str]:  # noqa: N802
        holds = list(zip(step["jobIds"], step["tokens"], strict=True))
        call = holding.extend_locks(self.keys(step), holds, lock_ms=step["duration"])
        return await self.store.run(call)

    async def do_stalledCheck(self, step: Step) -> list[str]:  # noqa: N802
        call = holding.recover_stalled(
            self.keys(step),
            clock=self.clock,
            interval_ms=step["worker"]["stalledInterval"],
            max_stalled=step["worker"]["maxStalledCount"],
        )
        return await self.store.run(call)

    async def _end(self, step: Step, outcome: Outcome) -> Any:
        record = await self.store.run(reading.get_job(self.keys(step), step["jobId"]))
        run = self._run(step, outcome)
        if record is not None:
            options = record.options
            kept = options.keep_completed if isinstance(outcome, Completed) else options.keep_failed
            run = replace(
                run,
                attempts=options.attempts,
                lifo=options.lifo,
                keep=kept or self._worker_retention(step),
                earlier_traces=record.stacktrace,
                trace_limit=options.stacktrace_limit,
            )
        never_fetches = isinstance(outcome, Retried) and outcome.delay_ms == 0
        count = 1 if step["fetchNext"] and not never_fetches else 0
        reply = await self._step(step, [run], count)
        if reply.codes[0]:
            return {"error": reply.codes[0]}
        is_empty = not (reply.taken or reply.next_due_ms or reply.is_held_back)
        is_told = count and not is_empty
        if isinstance(outcome, Retried) and not reply.taken:
            is_told = False
        return {"next": _fetched(reply) if is_told else None}

    def _worker_retention(self, step: Step) -> Retention:
        keep = node_options.retention_of(step.get("worker", {}).get("removeOnComplete"))
        return keep or Retention.ALL

    def _run(self, step: Step, outcome: Outcome) -> EndedRun:
        return EndedRun(job_id=step["jobId"], token=step["token"], outcome=outcome)

    async def _step(self, step: Step, runs: list[EndedRun], count: int) -> StepReply:
        take = TakeRequest(
            count=count,
            token=step["token"],
            lock_ms=LOCK_MS,
            worker_name=step.get("worker", {}).get("name"),
        )
        call = worker_step(
            self.keys(step), runs, take, clock=self.clock, worker_id="vectors", sequence=0
        )
        return await self.store.run(call)

    # Single jobs.

    async def do_promote(self, step: Step) -> Any:
        code = await self.store.run(moving.promote(self.keys(step), step["jobId"]))
        return {"error": code} if code else "ok"

    async def do_retry(self, step: Step) -> Any:
        state = STATES[step.get("state", "failed")]
        call = moving.reprocess(self.keys(step), step["jobId"], state, resets_attempts=False)
        code = await self.store.run(call)
        return {"error": code} if code else "ok"

    async def do_retryJobs(self, step: Step) -> str:  # noqa: N802
        await self.queue_of(step).retry_all(STATES[step.get("state", "failed")])
        return "ok"

    async def do_remove(self, step: Step) -> Any:
        code = await self.store.run(moving.remove(self.keys(step), step["jobId"]))
        return {"error": code} if code < 0 else code

    async def do_updateData(self, step: Step) -> str:  # noqa: N802
        await self.queue_of(step).update_data(step["jobId"], step["data"])
        return "ok"

    async def do_updateProgress(self, step: Step) -> Any:  # noqa: N802
        from oxcart.errors import JobNotFound

        try:
            await self.queue_of(step).update_progress(step["jobId"], step["progress"])
        except JobNotFound:
            return {"error": -1}
        return "ok"

    do_updateJobProgress = do_updateProgress  # noqa: N815

    async def do_log(self, step: Step) -> Any:
        from oxcart.errors import JobNotFound

        queue = self.queue_of(step)
        job = await queue.get_job(step["jobId"])
        keep = job.options.log_limit if job else None
        try:
            return await queue.add_log(step["jobId"], step["row"], keep=keep)
        except JobNotFound:
            return {"error": -1}

    do_addJobLog = do_log  # noqa: N815

    async def do_clearLogs(self, step: Step) -> str:  # noqa: N802
        await self.queue_of(step).clear_logs(step["jobId"], keep=step.get("keepLogs", 0))
        return "ok"

    async def do_getJobLogs(self, step: Step) -> Any:  # noqa: N802
        logs = await self.queue_of(step).get_logs(step["jobId"])
        return {"logs": list(logs.rows), "count": logs.count}

    # Reading.

    async def do_getJobState(self, step: Step) -> str:  # noqa: N802
        return (await self.queue_of(step).get_state(step["jobId"])).value

    async def do_getJobCounts(self, step: Step) -> dict[str, int]:  # noqa: N802
        counts = await self.queue_of(step).get_counts()
        types = step.get("types") or [
            "active", "completed", "delayed", "failed", "prioritized", "waiting",
            "waiting-children",
        ]  # fmt: skip
        aside = await self.store.run(reading.count_set_aside(self.keys(step)))
        return {
            name: aside if name == "paused" else getattr(counts, STATES[name].name.lower())
            for name in types
        }

    async def do_count(self, step: Step) -> int:
        return (await self.queue_of(step).get_counts()).pending

    async def do_getCountsPerPriority(self, step: Step) -> dict[str, int]:  # noqa: N802
        counts = await self.queue_of(step).get_counts_per_priority(step["priorities"])
        return {str(priority): count for priority, count in counts.items()}

    async def do_getJobs(self, step: Step) -> list[str]:  # noqa: N802
        found: dict[str, None] = {}
        for name in step["types"]:
            jobs = await self.queue_of(step).get_jobs(
                STATES[name], start=step["start"], end=step["end"], ascending=step["asc"]
            )
            found.update(dict.fromkeys(job.id for job in jobs))
        return list(found)

    # The queues.

    def keys(self, step: Step) -> QueueKeys:
        return QueueKeys(PREFIX, step["queue"])

    def queue_of(self, step: Step) -> Queue:
        return self.queue(step["queue"])

    def queue(self, name: str, *, events_length: int | None = None) -> Queue:
        if name not in self._queues:
            self._queues[name] = Queue(
                name,
                prefix=PREFIX,
                clock=self.clock,
                store=self.store,
                events_length=events_length,
            )
        return self._queues[name]

    async def _open(self, name: str) -> None:
        if name not in self._opened:
            self._opened.add(name)
            await self.queue(name).open()


def supports_options(step: Step) -> bool:
    """Whether oxcart has every option that a step gives."""
    return not unsupported_options(step)


def unsupported_options(step: Step) -> set[str]:
    """The options of a step that oxcart does not have."""
    if step["op"] in ("queue", "changePriority"):
        return set()
    given = set(step.get("opts") or {})
    for job in step.get("jobs", []):
        given |= set(job.get("opts") or {})
    worker = set(step.get("worker") or {}) & {"limiter", "metrics"}
    return (given - node_options.SUPPORTED) | worker


def _fetched(reply: StepReply) -> dict[str, Any]:
    return {
        "jobId": reply.taken[0].job_id if reply.taken else None,
        "rateLimitDelay": 0,
        "delayUntil": reply.next_due_ms or 0,
    }
