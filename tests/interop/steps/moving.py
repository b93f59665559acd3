"""Queue switches, and moving and removing jobs from outside."""

from __future__ import annotations

from typing import Any

from tests.interop.registry import operation
from tests.interop.session import Session
from tests.interop.vectors import STATES, Step

from oxcart._wire.codes import Code
from oxcart.errors import JobLocked, JobNotInState, QueueBusy


@operation("queue", options=frozenset({"skipMetasUpdate", "streams"}), opens=False)
async def open_queue(session: Session, step: Step) -> str:
    options = step.get("opts") or {}
    queue = session.make_queue(
        step["queue"],
        is_silent=options.get("skipMetasUpdate", False),
        events_length=options.get("streams", {}).get("events", {}).get("maxLen"),
    )
    await queue.open()
    return "created"


@operation("pause")
async def pause(session: Session, step: Step) -> str:
    await session.queue(step).pause()
    return "ok"


@operation("resume")
async def resume(session: Session, step: Step) -> str:
    await session.queue(step).resume()
    return "ok"


@operation("clean", fields="grace limit type")
async def clean(session: Session, step: Step) -> list[str]:
    grace = step["grace"]
    if grace < 0:  # oxcart refuses it: what is younger than now is as old as nothing later
        session.clock.ms -= grace
        grace = 0
    return await session.queue(step).clean(
        f"{grace}ms", limit=step.get("limit", 0), state=STATES[step["type"]]
    )


@operation("drain", fields="delayed")
async def drain(session: Session, step: Step) -> str:
    await session.queue(step).drain(delayed=step.get("delayed", False))
    return "ok"


@operation("promote", fields="jobId")
async def promote(session: Session, step: Step) -> str:
    await session.queue(step).promote(step["jobId"])
    return "ok"


@operation(
    "retry",
    fields="jobId state",
    options=frozenset({"resetAttemptsMade", "resetAttemptsStarted"}),
)
async def retry(session: Session, step: Step) -> str:
    options = step.get("opts") or {}
    resets = {options.get("resetAttemptsMade", False), options.get("resetAttemptsStarted", False)}
    assert len(resets) == 1, "oxcart resets both counters or none"
    await session.queue(step).retry(
        step["jobId"], state=STATES[step.get("state", "failed")], resets_attempts=resets.pop()
    )
    return "ok"


@operation("retryJobs", fields="state")
async def retry_jobs(session: Session, step: Step) -> str:
    await session.queue(step).retry_all(STATES[step.get("state", "failed")])
    return "ok"


@operation("remove", fields="jobId removeChildren")
async def remove(session: Session, step: Step) -> Any:
    try:
        await session.queue(step).remove(
            step["jobId"], with_children=step.get("removeChildren", True)
        )
    except JobLocked:
        return 0
    except JobNotInState:  # only of a scheduler's pending job
        return {"error": int(Code.SCHEDULER_JOB)}
    return 1


@operation("promoteJobs")
async def promote_jobs(session: Session, step: Step) -> str:
    await session.queue(step).promote_all()
    return "ok"


@operation("changeDelay", fields="jobId delay")
async def change_delay(session: Session, step: Step) -> str:
    await session.queue(step).change_delay(step["jobId"], f"{step['delay']}ms")
    return "ok"


@operation("changePriority", fields="jobId", options=frozenset({"priority", "lifo"}))
async def change_priority(session: Session, step: Step) -> str:
    options = step["opts"]
    await session.queue(step).change_priority(
        step["jobId"], options.get("priority", 0), lifo=options.get("lifo", False)
    )
    return "ok"


@operation("obliterate", fields="force")
async def obliterate(session: Session, step: Step) -> Any:
    try:
        await session.queue(step).obliterate(force=step.get("force", False))
    except QueueBusy:
        return {"refused": True}
    return "ok"
