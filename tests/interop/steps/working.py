"""What a worker does: taking jobs, ending runs, keeping locks, recovering stalled jobs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tests.interop.node_options import retention_of
from tests.interop.registry import operation
from tests.interop.session import Session
from tests.interop.steps.scheduling import make_next_jobs
from tests.interop.vectors import Step

from oxcart import JobOptions, JobRecord, Retention
from oxcart._model.links import RateLimit
from oxcart._model.outcome import (
    Completed,
    Delayed,
    Failure,
    GivenBack,
    Outcome,
    Retried,
    WaitingForChildren,
    decide,
)
from oxcart._store.calls import holding, reading, stepping
from oxcart._store.calls.stepping import EndedRun, StepReply, TakeRequest, Terms
from oxcart._wire.codec import encode_json

LOCK_MS = 30_000
STALLED_INTERVAL_MS = 30_000


@operation("take", fields="token", worker="name lockDuration limiter metrics", opens=False)
async def take(session: Session, step: Step) -> Any:
    return _fetched(await _step(session, step, [], 1))


@operation(
    "complete",
    fields="jobId returnvalue token fetchNext",
    worker="name lockDuration removeOnComplete removeOnFail limiter metrics",
    opens=False,
)
async def complete(session: Session, step: Step) -> Any:
    record = await _record(session, step)
    value = encode_json(step.get("returnvalue"), what="the return value")
    return await _end(session, step, record, Completed(value))


@operation(
    "fail",
    fields="jobId reason unrecoverable token fetchNext",
    worker="name lockDuration removeOnComplete removeOnFail limiter metrics",
    opens=False,
)
async def fail(session: Session, step: Step) -> Any:
    record = await _record(session, step)
    outcome = decide(
        Failure(
            reason=step["reason"],
            trace=f"Error: {step['reason']}\n    at processor",
            is_permanent=step.get("unrecoverable", False),
        ),
        attempts_made=record.attempts_made,
        max_attempts=record.options.max_attempts,
        backoff=record.options.backoff,
        random=lambda: 0.5,
    )
    return await _end(session, step, record, outcome)


@operation("moveToDelayed", fields="jobId timestamp token")
async def move_to_delayed(session: Session, step: Step) -> Any:
    outcome = Delayed(0, until_ms=step["timestamp"])
    reply = await _step(session, step, [_run(step, outcome)], 0)
    return {"error": reply.codes[0]} if reply.codes[0] else "ok"


@operation("moveToWait", fields="jobId token")
async def move_to_wait(session: Session, step: Step) -> Any:
    reply = await _step(session, step, [_run(step, GivenBack())], 0)
    # Otherwise the remaining ms of a rate limit: there is none.
    return {"error": reply.codes[0]} if reply.codes[0] else 0


@operation("moveToWaitingChildren", fields="jobId token")
async def move_to_waiting_children(session: Session, step: Step) -> Any:
    reply = await _step(session, step, [_run(step, WaitingForChildren())], 0)
    code = reply.codes[0]
    return {"error": code} if code < 0 else code == 0


@operation("extendLock", fields="jobId token duration")
async def extend_lock(session: Session, step: Step) -> int:
    holds = [(step["jobId"], step["token"])]
    call = holding.extend_locks(session.keys(step), holds, lock_ms=step["duration"])
    return 0 if await session.store.run(call) else 1


@operation("extendLocks", fields="jobIds tokens duration", opens=False)
async def extend_locks(session: Session, step: Step) -> list[str]:
    holds = list(zip(step["jobIds"], step["tokens"], strict=True))
    call = holding.extend_locks(session.keys(step), holds, lock_ms=step["duration"])
    return await session.store.run(call)


@operation("stalledCheck", worker="name maxStalledCount stalledInterval", opens=False)
async def stalled_check(session: Session, step: Step) -> list[str]:
    worker = step.get("worker") or {}
    call = holding.recover_stalled(
        session.keys(step),
        clock=session.clock,
        interval_ms=worker.get("stalledInterval", STALLED_INTERVAL_MS),
        max_stalled=worker.get("maxStalledCount", 1),
    )
    return await session.store.run(call) or []


async def _record(session: Session, step: Step) -> JobRecord:
    """The job as a worker holds it; an empty one for an id that does not exist."""
    record = await session.store.run(reading.get_job(session.keys(step), step["jobId"]))
    return record or JobRecord(id=step["jobId"], name="", data={}, options=JobOptions(attempts=0))


async def _end(session: Session, step: Step, record: JobRecord, outcome: Outcome) -> Any:
    options = record.options
    is_success = isinstance(outcome, Completed)
    own = options.keep_completed if is_success else options.keep_failed
    run = replace(
        _run(step, outcome),
        terms=Terms(
            attempts=options.attempts,
            lifo=options.lifo,
            keep=own if own is not None else _worker_retention(step, is_success=is_success),
        ),
        earlier_traces=record.stacktrace,
        trace_limit=options.stacktrace_limit,
    )
    # BullMQ's worker never fetches with a retry at once.
    fetches = step.get("fetchNext", False) and not _is_retried_at_once(outcome)
    reply = await _step(session, step, [run], 1 if fetches else 0)
    if reply.codes[0]:
        return {"error": reply.codes[0]}
    return {"next": _next(reply, is_retried=isinstance(outcome, Retried)) if fetches else None}


def _is_retried_at_once(outcome: Outcome) -> bool:
    return isinstance(outcome, Retried) and outcome.delay_ms == 0


def _worker_retention(step: Step, *, is_success: bool) -> Retention:
    given = step.get("worker") or {}
    keep = retention_of(given.get("removeOnComplete" if is_success else "removeOnFail"))
    return Retention.ALL if keep is None else keep


def _run(step: Step, outcome: Outcome) -> EndedRun:
    return EndedRun(job_id=step["jobId"], token=step["token"], outcome=outcome)


async def _step(session: Session, step: Step, runs: list[EndedRun], count: int) -> StepReply:
    worker = step.get("worker") or {}
    session.step_count += 1
    call = stepping.step(
        session.keys(step),
        runs,
        TakeRequest(
            count=count,
            token=step["token"],
            lock_ms=worker.get("lockDuration", LOCK_MS),
            worker_name=worker.get("name"),
            limit=_limit_of(worker),
        ),
        clock=session.clock,
        worker_id="vectors",
        sequence=session.step_count,
        metrics_size=worker.get("metrics", {}).get("maxDataPoints", 0),
    )
    reply = await session.store.run(call)
    await make_next_jobs(session, step, reply)
    return reply


def _next(reply: StepReply, *, is_retried: bool) -> dict[str, Any] | None:
    """The reply of a fetch in BullMQ's form: none if it has nothing to say."""
    # The delay step answers its fetch only when that took a job (wire format, section 7.6).
    says_something = not is_retried and (
        reply.is_held_back or reply.limited_ms > 0 or reply.next_due_ms is not None
    )
    return _fetched(reply) if reply.taken or says_something else None


def _fetched(reply: StepReply) -> dict[str, Any]:
    return {
        "jobId": reply.taken[0].job_id if reply.taken else None,
        "rateLimitDelay": -(-reply.limited_ms // 1_000) * 1_000,  # recorded in whole seconds
        "delayUntil": reply.next_due_ms or 0,
    }


def _limit_of(worker: dict[str, Any]) -> RateLimit | None:
    limiter = worker.get("limiter")
    if limiter is None:
        return None
    return RateLimit(max=limiter["max"], per=f"{limiter['duration']}ms")
