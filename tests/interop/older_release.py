"""What BullMQ 5 does to a queue, by raw commands (wire format, section 14)."""

from __future__ import annotations

import json
from typing import Any


def pause(client: Any, base: str) -> str:
    """Pause as version 5: the waiting jobs are set aside."""
    if client.exists(f"{base}wait"):
        client.rename(f"{base}wait", f"{base}paused")
    client.hset(f"{base}meta", "paused", "1")
    client.delete(f"{base}marker")
    client.xadd(f"{base}events", {"event": "paused"})
    return "ok"


def resume(client: Any, base: str) -> str:
    """Resume as version 5: what was set aside replaces what is waiting."""
    had_paused = bool(client.exists(f"{base}paused"))
    if had_paused:
        client.rename(f"{base}paused", f"{base}wait")
    client.hdel(f"{base}meta", "paused")
    if had_paused or client.exists(f"{base}prioritized"):
        client.zadd(f"{base}marker", {"0": 0})
    client.xadd(f"{base}events", {"event": "resumed"})
    return "ok"


def add(client: Any, base: str, step: dict[str, Any]) -> dict[str, str]:
    """Add a plain job as version 5: while paused it goes to the jobs set aside."""
    job_id = str(client.incr(f"{base}id"))
    fields = {
        "name": step["name"],
        "data": json.dumps(step.get("data", {})),
        "opts": json.dumps({"attempts": 0}),
        "timestamp": str(step["now"]),
        "delay": "0",
        "priority": "0",
    }
    client.hset(f"{base}{job_id}", mapping=fields)
    client.xadd(f"{base}events", {"event": "added", "jobId": job_id, "name": step["name"]})
    is_paused = client.hexists(f"{base}meta", "paused")
    client.lpush(f"{base}{'paused' if is_paused else 'wait'}", job_id)
    if not is_paused:
        client.zadd(f"{base}marker", {"0": 0})
    client.xadd(f"{base}events", {"event": "waiting", "jobId": job_id})
    return {"jobId": job_id}
