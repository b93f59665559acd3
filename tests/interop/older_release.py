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


@operation(
    "add",
    fields="name data",
    options=frozenset({"jobId", "deduplication", "repeat"}),
    registry=OLDER_RELEASE,
)
async def add(session: Session, step: Step) -> dict[str, str]:
    """Add a plain job as version 5: while paused it goes to the jobs set aside."""
    if "deduplication" in (step.get("opts") or {}):
        return await _add_deduplicated(session, step)
    if "repeat" in (step.get("opts") or {}):
        return _add_repeatable(session, step)
    client, base = session.client, session.keys(step).base
    is_paused = bool(client.hexists(f"{base}meta", "paused"))
    return write_job(client, base, step, sets_aside=is_paused)


def _add_repeatable(session: Session, step: Step) -> dict[str, str]:
    """Add a repeatable job as version 5: its payload stands in its pending job alone."""
    client, base, now = session.client, session.keys(step).base, step["now"]
    every = step["opts"]["repeat"]["every"]
    due = now - now % every + every
    key = step["result"]["jobId"].split(":")[1]  # made by a hash function of its own
    job_id = f"repeat:{key}:{due}"
    options = {
        "attempts": 0, "delay": due - now, "jobId": job_id, "prevMillis": due,
        "repeat": {"count": 1, "every": every}, "timestamp": now,
    }  # fmt: skip
    client.incr(f"{base}id")
    client.hsetnx(f"{base}meta", "opts.maxLenEvents", "10000")
    client.zadd(f"{base}repeat", {key: due})
    client.hset(f"{base}repeat:{key}", mapping={"name": step["name"], "every": every})
    fields = {**_fields(step, {}), "opts": json.dumps(options), "delay": due - now, "rjk": key}
    client.hset(f"{base}{job_id}", mapping=fields)
    client.xadd(f"{base}events", {"event": "added", "jobId": job_id, "name": step["name"]})
    client.zadd(f"{base}delayed", {job_id: due * 4_096})
    client.xadd(f"{base}events", {"event": "delayed", "jobId": job_id, "delay": due})
    client.zadd(f"{base}marker", {"1": due})
    return {"jobId": job_id}


async def _add_deduplicated(session: Session, step: Step) -> dict[str, str]:
    """Add with a deduplication id as version 5, which tells a dropped add twice."""
    client: Any = session.client
    base = session.keys(step).base
    dedup = step["opts"]["deduplication"]
    assert dedup.keys() == {"id"}, dedup
    holder = client.get(f"{base}de:{dedup['id']}")
    if holder is None:
        added = write_job(client, base, {**step, "opts": {}})
        opts = json.dumps({"attempts": 0, "de": dedup})
        client.hset(f"{base}{added['jobId']}", mapping={"opts": opts, "deid": dedup["id"]})
        client.set(f"{base}de:{dedup['id']}", added["jobId"])
        return added
    kept, dropped = holder.decode(), str(client.incr(f"{base}id"))
    for event in (
        {"event": "debounced", "jobId": kept, "debounceId": dedup["id"]},
        {
            "event": "deduplicated",
            "jobId": kept,
            "deduplicationId": dedup["id"],
            "deduplicatedJobId": dropped,
        },
    ):
        client.xadd(f"{base}events", event)
    return {"jobId": kept}


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
