"""What BullMQ's own clients do to a queue, by raw commands (wire format, sections 7.1 and 14).

For the steps that an older release made, and for jobs that oxcart refuses to add.
"""

from __future__ import annotations

import json
from typing import Any

import redis
from tests.interop.registry import OLDER_RELEASE, operation
from tests.interop.session import Session
from tests.interop.vectors import Step


@operation("pause", registry=OLDER_RELEASE)
async def pause(session: Session, step: Step) -> str:
    """Pause as version 5: the waiting jobs are set aside."""
    client, base = session.client, session.keys(step).base
    if client.exists(f"{base}wait"):
        client.rename(f"{base}wait", f"{base}paused")
    client.hset(f"{base}meta", "paused", "1")
    client.delete(f"{base}marker")
    client.xadd(f"{base}events", {"event": "paused"})
    return "ok"


@operation("resume", registry=OLDER_RELEASE)
async def resume(session: Session, step: Step) -> str:
    """Resume as version 5: what was set aside replaces what is waiting."""
    client, base = session.client, session.keys(step).base
    had_paused = bool(client.exists(f"{base}paused"))
    if had_paused:
        client.rename(f"{base}paused", f"{base}wait")
    client.hdel(f"{base}meta", "paused")
    if had_paused or client.exists(f"{base}prioritized"):
        client.zadd(f"{base}marker", {"0": 0})
    client.xadd(f"{base}events", {"event": "resumed"})
    return "ok"


@operation("add", fields="name data", options=frozenset({"jobId"}), registry=OLDER_RELEASE)
async def add(session: Session, step: Step) -> dict[str, str]:
    """Add a plain job as version 5: while paused it goes to the jobs set aside."""
    client, base = session.client, session.keys(step).base
    is_paused = bool(client.hexists(f"{base}meta", "paused"))
    return write_job(client, base, step, sets_aside=is_paused)


def write_job(
    client: redis.Redis, base: str, step: Step, *, sets_aside: bool = False
) -> dict[str, str]:
    """Write a plain job, with or without an id of its own."""
    given = step.get("opts") or {}
    assert given.keys() <= {"jobId"}, given
    counted = client.incr(f"{base}id")
    client.hsetnx(f"{base}meta", "opts.maxLenEvents", "10000")
    job_id = given.get("jobId", str(counted))
    client.hset(f"{base}{job_id}", mapping=_fields(step, given))
    client.xadd(f"{base}events", {"event": "added", "jobId": job_id, "name": step["name"]})
    client.lpush(f"{base}{'paused' if sets_aside else 'wait'}", job_id)
    if not client.hexists(f"{base}meta", "paused"):
        client.zadd(f"{base}marker", {"0": 0})
    client.xadd(f"{base}events", {"event": "waiting", "jobId": job_id})
    return {"jobId": job_id}


def _fields(step: Step, given: dict[str, Any]) -> dict[Any, Any]:
    return {
        "name": step["name"],
        "data": json.dumps(step.get("data", {})),
        "opts": json.dumps({"attempts": 0, **given}),
        "timestamp": str(step["now"]),
        "delay": "0",
        "priority": "0",
    }
