"""Schedulers for tests of their scripts: what the calls take, with defaults."""

from __future__ import annotations

from typing import Any

from tests.integration.lua.keyspace import NOW, Keyspace

from oxcart import JobOptions, JobSpec, Schedule
from oxcart._store.calls import scheduling
from oxcart._wire.schedule_codec import read_repeat

MINUTE = 60_000
EVERY = Schedule.every("1m")
CRON = Schedule.cron("*/5 * * * *")
CRON_DUE = 1_700_000_100_000
SLOT = f"repeat:sch:{NOW}"


async def upsert(
    space: Keyspace,
    schedule: Schedule = EVERY,
    *,
    due_ms: int | None = None,
    data: Any = None,
    **options: Any,
) -> Any:
    """Upsert the scheduler ``sch``."""
    spec = JobSpec(
        name="tick",
        data={} if data is None else data,
        options=JobOptions(**{"attempts": 0, **options}),
    )
    encoded = scheduling.encode_scheduler("sch", schedule, spec)
    return await space.run(
        scheduling.upsert_scheduler(space.keys, encoded, due_ms=due_ms, clock=space.clock)
    )


async def make_next(
    space: Keyspace, taken: str, *, scheduler_id: str = "sch", due_ms: int | None = None
) -> Any:
    """Make the job after one that was taken."""
    options: Any = space.client.hget(space.keys.job(taken), "opts")
    return await space.run(
        scheduling.make_next_iteration(
            space.keys, scheduler_id, taken, read_repeat(options), due_ms=due_ms, priority=0,
            lifo=False, clock=space.clock,
        )
    )  # fmt: skip


def move(space: Keyspace, job_id: str) -> None:
    """Take a job out of what it waits in, as a worker does."""
    client: Any = space.client
    client.zrem(space.keys.delayed, job_id)
    client.lrem(space.keys.wait, 0, job_id)
    client.lpush(space.keys.active, job_id)
