"""Watching a queue: its settings, metrics, workers, and events of one's own."""

from __future__ import annotations

from typing import Any

from tests.interop.registry import operation
from tests.interop.session import Session
from tests.interop.vectors import STATES, Step


@operation("getMeta")
async def get_meta(session: Session, step: Step) -> dict[str, Any]:
    meta = await session.queue(step).get_meta()
    return {
        "version": (meta.version or "").removeprefix("bullmq:"),
        "concurrency": meta.concurrency,
        "maxLenEvents": meta.events_length,
        "max": meta.rate_max,
        "duration": meta.rate_ms,
        "paused": meta.is_paused,
    }


@operation("getMetrics", fields="type start end")
async def get_metrics(session: Session, step: Step) -> dict[str, Any]:
    metrics = await session.queue(step).get_metrics(
        STATES[step["type"]], start=step.get("start", 0), end=step.get("end", -1)
    )
    return {
        "meta": {
            "count": metrics.count,
            "prevTS": metrics.previous_at_ms,
            "prevCount": metrics.previous_count,
        },
        "data": list(metrics.points),
        "count": metrics.point_count,
    }


@operation("getWorkers")
async def get_workers(session: Session, step: Step) -> list[str]:
    return [worker.name for worker in await session.queue(step).get_workers()]


@operation("publishEvent", fields="args", opens=False)
async def publish_event(session: Session, step: Step) -> str:
    fields = dict(step["args"])
    await session.queue(step).publish_event(fields.pop("eventName"), **fields)
    return "ok"
