"""A job's data, progress and log."""

from __future__ import annotations

from typing import Any

from tests.interop.registry import operation
from tests.interop.session import Session
from tests.interop.vectors import Step


@operation("updateData", fields="jobId data")
async def update_data(session: Session, step: Step) -> str:
    await session.queue(step).update_data(step["jobId"], step["data"])
    return "ok"


@operation("updateProgress", "updateJobProgress", fields="jobId progress")
async def update_progress(session: Session, step: Step) -> str:
    await session.queue(step).update_progress(step["jobId"], step["progress"])
    return "ok"


@operation("log", fields="jobId row")
async def log(session: Session, step: Step) -> int:
    """A log row by the job itself, which keeps as many as its option says."""
    job = await session.queue(step).get_job(step["jobId"])
    keep = job.options.log_limit if job else None
    return await session.queue(step).add_log(step["jobId"], step["row"], keep=keep)


@operation("addJobLog", fields="jobId row keepLogs")
async def add_job_log(session: Session, step: Step) -> int:
    queue = session.queue(step)
    return await queue.add_log(step["jobId"], step["row"], keep=step.get("keepLogs"))


@operation("clearLogs", fields="jobId keepLogs")
async def clear_logs(session: Session, step: Step) -> str:
    await session.queue(step).clear_logs(step["jobId"], keep=step.get("keepLogs", 0))
    return "ok"


@operation("getJobLogs", fields="jobId start end")
async def get_job_logs(session: Session, step: Step) -> Any:
    logs = await session.queue(step).get_logs(
        step["jobId"], start=step.get("start", 0), end=step.get("end", -1)
    )
    return {"logs": list(logs.rows), "count": logs.count}
