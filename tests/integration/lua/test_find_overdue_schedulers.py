from __future__ import annotations

from tests.integration.lua.keyspace import NOW, Keyspace
from tests.integration.lua.schedulers import CRON, CRON_DUE, MINUTE, SLOT, move, upsert
from tests.integration.lua.steps import send

from oxcart._store.calls.scheduling import SchedulerCheck, find_overdue_schedulers

GRACE = 500


async def look(space: Keyspace) -> SchedulerCheck:
    """Look at the schedulers."""
    call = find_overdue_schedulers(
        space.keys, interval_ms=60_000, grace_ms=GRACE, limit=10, clock=space.clock
    )
    found: SchedulerCheck = await space.run(call)
    return found


def take(space: Keyspace, job_id: str) -> None:
    """Take a job as a worker does that makes no successor."""
    move(space, job_id)
    space.client.hset(space.keys.job(job_id), "processedOn", space.clock.ms)


async def test_queue_without_schedulers_has_nothing_to_look_at(space: Keyspace) -> None:
    found = await look(space)

    assert found == SchedulerCheck(has_schedulers=False, now_ms=NOW, next_due_ms=None, overdue=())
    assert space.client.exists(space.keys.private("check", "schedulers")) == 0


async def test_job_that_was_taken_without_a_successor_is_found_once_an_interval(
    space: Keyspace,
) -> None:
    await upsert(space, data={"v": 1})
    take(space, SLOT)
    space.clock.ms = NOW + GRACE
    before = space.read()

    first, second = await look(space), await look(space)

    [overdue] = first.overdue
    assert (overdue.id, overdue.slot_ms) == ("sch", NOW)
    assert overdue.options == space.client.hget(space.keys.job(SLOT), "opts")
    assert overdue.definition[b"data"] == b'{"v":1}'
    assert (second.has_schedulers, second.overdue) == (True, ())
    assert space.read() == before


async def test_job_that_was_taken_just_now_is_left_to_its_worker(space: Keyspace) -> None:
    await upsert(space)
    take(space, SLOT)
    space.clock.ms = NOW + GRACE - 1

    assert (await look(space)).overdue == ()


async def test_job_that_is_gone_is_found(space: Keyspace) -> None:
    await upsert(space)
    space.client.delete(space.keys.job(SLOT))
    space.client.delete(space.keys.wait)

    [overdue] = (await look(space)).overdue

    assert overdue.options == b""


async def test_job_that_waits_is_not_overdue_and_the_next_due_time_is_told(
    space: Keyspace,
) -> None:
    await upsert(space)
    space.clock.ms = NOW + 5 * MINUTE
    assert (await look(space)).overdue == ()

    await upsert(space, CRON, due_ms=CRON_DUE + 600_000)

    assert (await look(space)).next_due_ms == CRON_DUE + 600_000


async def test_job_that_a_step_took_has_its_successor(space: Keyspace) -> None:
    await upsert(space)
    await send(space, take=1)
    space.clock.ms = NOW + GRACE

    assert (await look(space)).overdue == ()
