"""A step that takes an interval's job makes the next one (wire format, section 11.3)."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from tests.integration.lua.keyspace import NOW, Keyspace, job
from tests.integration.lua.schedulers import CRON, CRON_DUE, MINUTE, SLOT, make_next, upsert
from tests.integration.lua.steps import TOKEN, ids_of, send

from oxcart import Backoff, Retention, Schedule
from oxcart._store.calls.scheduling import Next
from oxcart._store.calls.stepping import StepReply, TakeRequest, plain_step

FOLLOWING = f"repeat:sch:{NOW + MINUTE}"
Take = Callable[[Keyspace], Awaitable[StepReply]]


async def take(space: Keyspace) -> StepReply:
    """Take a job by the step that can do everything."""
    return await send(space, take=2)


async def take_plainly(space: Keyspace) -> StepReply:
    """Take a job by the usual step."""
    call = plain_step(
        space.keys,
        [],
        TakeRequest(count=2, token=TOKEN, lock_ms=30_000),
        clock=space.clock,
        worker_id="w",
        sequence=0,
    )
    reply: StepReply | None = await space.run(call)
    assert reply is not None
    return reply


BOTH = pytest.mark.parametrize("take", [take, take_plainly])


@BOTH
async def test_next_job_is_made_with_the_options_of_the_taken_one(
    space: Keyspace, take: Take
) -> None:
    await upsert(
        space, data={"v": 1}, attempts=3, priority=7, backoff=Backoff(kind="fixed", delay_ms=1_500),
        keep_completed=Retention(count=5), lifo=True,
    )  # fmt: skip
    space.clock.ms = NOW + 1

    reply = await take(space)

    table = space.read()
    before = json.loads(table[SLOT]["opts"])
    assert ids_of(reply) == [SLOT]
    assert reply.next_due_ms == NOW + MINUTE
    assert table["repeat"] == {"sch": NOW + MINUTE}
    assert table["repeat:sch"]["ic"] == "2"
    assert table[FOLLOWING]["data"] == '{"v":1}'
    assert table[FOLLOWING]["priority"] == "7"
    assert json.loads(table[FOLLOWING]["opts"]) == before | {
        "repeat": {"every": MINUTE, "count": 2},
        "jobId": FOLLOWING,
        "timestamp": NOW + 1,
        "delay": MINUTE - 1,
    }
    assert await make_next(space, SLOT) is Next.NOT_PENDING
    assert space.events()[-3:] == [
        ("active", SLOT, "waiting"),
        ("added", FOLLOWING, "tick"),
        ("delayed", FOLLOWING, str(NOW + MINUTE)),
    ]


@BOTH
@pytest.mark.parametrize(
    "schedule",
    [
        Schedule.every("1m", limit=1),
        Schedule.every("1m", end=datetime.fromtimestamp((NOW - 1) / 1_000, UTC)),
    ],
)
async def test_schedule_that_is_over_has_no_next_job(
    space: Keyspace, take: Take, schedule: Schedule
) -> None:
    await upsert(space, schedule)

    assert ids_of(await take(space)) == [SLOT]
    assert space.read()["repeat"] == {"sch": NOW}


@BOTH
async def test_job_of_a_removed_scheduler_has_no_next_one(space: Keyspace, take: Take) -> None:
    await upsert(space)
    space.client.delete(space.keys.repeat, space.keys.scheduler("sch"))

    assert ids_of(await take(space)) == [SLOT]
    assert FOLLOWING not in space.read()


@BOTH
async def test_pattern_is_left_to_the_worker(space: Keyspace, take: Take) -> None:
    await upsert(space, CRON, due_ms=CRON_DUE)
    taken = f"repeat:sch:{CRON_DUE}"
    space.client.zrem(space.keys.delayed, taken)
    space.client.lpush(space.keys.wait, taken)

    assert ids_of(await take(space)) == [taken]
    assert space.read()["repeat"] == {"sch": CRON_DUE}


@BOTH
@pytest.mark.parametrize(
    "changes",
    [
        {"tags": []},
        {"number": 1234567890.1234567},
        {"repeat": {"every": "soon"}},
        {"repeat": 7},
        {"repeat": {"every": 10**15}},
    ],
)
async def test_options_that_lua_cannot_write_exactly_are_left_to_the_worker(
    space: Keyspace, take: Take, changes: dict[str, Any]
) -> None:
    await upsert(space)
    options: Any = space.client.hget(space.keys.job(SLOT), "opts")
    space.client.hset(space.keys.job(SLOT), "opts", json.dumps(json.loads(options) | changes))

    assert ids_of(await take(space)) == [SLOT]
    assert space.read()["repeat"] == {"sch": NOW}


@BOTH
@pytest.mark.parametrize("suffix", ["repeat", "repeat:sch", "id"])
async def test_scheduler_that_cannot_be_written_does_not_end_the_step(
    space: Keyspace, take: Take, suffix: str
) -> None:
    await upsert(space)
    space.client.delete(space.keys.base + suffix)
    space.write({suffix: "mine", "other": job()})
    space.client.lpush(space.keys.wait, "other")

    assert ids_of(await take(space)) == [SLOT, "other"]
    assert space.read()["active"] == ["other", SLOT]
