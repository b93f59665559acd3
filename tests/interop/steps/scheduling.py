"""Schedulers, and what a worker does with their jobs."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any

from tests.interop.node_options import options_of
from tests.interop.registry import operation
from tests.interop.session import Session
from tests.interop.vectors import Step

from oxcart import JobOptions, Schedule, SchedulerInfo
from oxcart._engine.hold import Hold
from oxcart._engine.iterations import IterationMaker
from oxcart._store.calls.stepping import StepReply
from oxcart._wire.codec import read_job

_WIRE_NAMES = {"attempts": "attempts", "log_limit": "keepLogs"}
"""A template's options that the vectors' getters answer."""


@operation("upsertJobScheduler", fields="schedulerId repeat template")
async def upsert_scheduler(session: Session, step: Step) -> Any:
    template = step["template"]
    options = options_of(template.get("opts") or {})
    defaults = JobOptions()
    given = {
        name: value
        for name in JobOptions.__dataclass_fields__
        if (value := getattr(options, name)) != getattr(defaults, name)
    }
    job = await session.queue(step).upsert_scheduler(
        step["schedulerId"],
        _schedule_of(step["repeat"]),
        template["name"],
        template.get("data"),
        **given,
    )
    return {"jobId": job.id, "delay": job.delay_ms}


@operation("removeJobScheduler", fields="schedulerId")
async def remove_scheduler(session: Session, step: Step) -> bool:
    return await session.queue(step).remove_scheduler(step["schedulerId"])


@operation("getJobScheduler", fields="schedulerId")
async def get_scheduler(session: Session, step: Step) -> Any:
    info = await session.queue(step).get_scheduler(step["schedulerId"])
    return None if info is None else _told(info)


@operation("getJobSchedulers", fields="start end asc")
async def get_schedulers(session: Session, step: Step) -> Any:
    infos = await session.queue(step).get_schedulers(
        start=step["start"], end=step["end"], ascending=step["asc"]
    )
    return [_told(info) for info in infos]


@operation("getJobSchedulersCount")
async def count_schedulers(session: Session, step: Step) -> int:
    return await session.queue(step).count_schedulers()


async def make_next_jobs(session: Session, step: Step, reply: StepReply) -> None:
    """Make the jobs that follow those which a worker took, as it does before it runs them."""
    maker = IterationMaker(session.store, session.keys(step), session.clock)
    for taken in reply.taken:
        hold = Hold(step["queue"], taken.job_id, taken.token, time.monotonic() + 30, lambda _: None)
        record = read_job(taken.job_id, taken.fields)
        assert await maker.make_next(taken, record, hold) is None


def _schedule_of(repeat: dict[str, Any]) -> Schedule:
    common: dict[str, Any] = {
        "start": _instant(repeat.get("startDate")),
        "end": _instant(repeat.get("endDate")),
        "limit": repeat.get("limit"),
        "immediately": repeat.get("immediately", False),
    }
    if "pattern" in repeat:
        return Schedule.cron(repeat["pattern"], tz=repeat.get("tz"), **common)
    offset = repeat.get("offset")
    return Schedule.every(
        f"{repeat['every']}ms", offset=None if offset is None else f"{offset}ms", **common
    )


def _instant(ms: int | None) -> datetime | None:
    return None if ms is None else datetime.fromtimestamp(ms / 1_000, UTC)


def _told(info: SchedulerInfo) -> dict[str, Any]:
    """A scheduler as BullMQ's getters tell it."""
    schedule = info.schedule
    assert schedule is not None, info.problem
    told = {
        "key": info.id, "name": info.name, "next": info.next_at_ms, "every": schedule.every_ms,
        "iterationCount": info.iterations, "limit": schedule.limit, "tz": schedule.tz,
        "pattern": schedule.pattern, "startDate": schedule.start_ms, "endDate": schedule.end_ms,
        "offset": info.offset_ms, "template": {"data": info.data, "opts": _options_told(info)},
    }  # fmt: skip
    return {name: value for name, value in told.items() if value is not None}


def _options_told(info: SchedulerInfo) -> dict[str, Any]:
    values = {wire: getattr(info.options, name) for name, wire in _WIRE_NAMES.items()}
    return {name: value for name, value in values.items() if value}
