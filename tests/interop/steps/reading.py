"""Getters."""

from __future__ import annotations

from tests.interop.registry import operation
from tests.interop.session import Session
from tests.interop.vectors import STATES, Step

from oxcart._store.calls import reading

COUNTED = (
    "active", "completed", "delayed", "failed", "prioritized", "waiting", "waiting-children",
)  # fmt: skip
"""What BullMQ counts when it is not told what to count."""


@operation("getJobState", fields="jobId")
async def get_job_state(session: Session, step: Step) -> str:
    return (await session.queue(step).get_state(step["jobId"])).value


@operation("getJobCounts", fields="types")
async def get_job_counts(session: Session, step: Step) -> dict[str, int]:
    counts = await session.queue(step).get_counts()
    aside = await session.store.run(reading.count_set_aside(session.keys(step)))
    found: dict[str, int] = {}
    for name in step.get("types", COUNTED):
        if name == "paused":
            found[name] = aside
        else:
            found[name] = getattr(counts, STATES[name].name.lower())
            # oxcart counts what BullMQ 5 set aside as waiting, which it is; BullMQ 6 leaves it out.
            found[name] -= aside if STATES[name].name == "WAITING" else 0
    return found


@operation("count")
async def count(session: Session, step: Step) -> int:
    return (await session.queue(step).get_counts()).pending


@operation("getCountsPerPriority", fields="priorities")
async def get_counts_per_priority(session: Session, step: Step) -> dict[str, int]:
    counts = await session.queue(step).get_counts_per_priority(step["priorities"])
    return {str(priority): count for priority, count in counts.items()}


@operation("getJobs", fields="types start end asc")
async def get_jobs(session: Session, step: Step) -> list[str]:
    found: dict[str, None] = {}
    for name in step["types"]:
        jobs = await session.queue(step).get_jobs(
            STATES[name],
            start=step.get("start", 0),
            end=step.get("end", -1),
            ascending=step.get("asc", False),
        )
        found.update(dict.fromkeys(job.id for job in jobs))
    return list(found)
