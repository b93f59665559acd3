from __future__ import annotations

import json

import pytest
from tests.integration.lua.keyspace import NOW, STEP, Keyspace, job
from tests.integration.lua.schedulers import CRON, CRON_DUE, MINUTE, SLOT, make_next, move, upsert

from oxcart import Schedule
from oxcart._store.calls.scheduling import Next

FOLLOWING = f"repeat:sch:{NOW + MINUTE}"
LEGACY = "f533ac4ee9cc0c1487f815c9476e8091"


async def test_next_job_has_the_definitions_data_and_the_taken_jobs_options(
    space: Keyspace,
) -> None:
    await upsert(space, data={"v": 1}, attempts=3)
    move(space, SLOT)
    space.client.hset(space.keys.scheduler("sch"), mapping={"data": '{"v":2}', "name": "tock"})
    space.clock.ms = NOW + 1

    assert await make_next(space, SLOT) is Next.MADE

    table = space.read()
    assert table["repeat"] == {"sch": NOW + MINUTE}
    assert table["repeat:sch"]["ic"] == "2"
    assert table["id"] == "2"
    assert table["delayed"] == {FOLLOWING: (NOW + MINUTE) * STEP}
    assert (table[FOLLOWING]["name"], table[FOLLOWING]["data"]) == ("tock", '{"v":2}')
    assert json.loads(table[FOLLOWING]["opts"]) == {
        "attempts": 3, "repeat": {"every": MINUTE, "count": 2}, "repeatJobKey": "sch",
        "jobId": FOLLOWING, "timestamp": NOW + 1, "delay": MINUTE - 1,
    }  # fmt: skip
    assert space.events()[-2:] == [
        ("added", FOLLOWING, "tock"),
        ("delayed", FOLLOWING, str(NOW + MINUTE)),
    ]


async def test_job_taken_a_second_time_has_a_successor_already(space: Keyspace) -> None:
    await upsert(space)
    move(space, SLOT)
    await make_next(space, SLOT)
    before = space.read()

    assert await make_next(space, SLOT) is Next.NOT_PENDING
    assert space.read() == before


async def test_job_of_a_removed_scheduler_has_no_successor(space: Keyspace) -> None:
    await upsert(space)
    move(space, SLOT)
    space.client.zrem(space.keys.repeat, "sch")

    assert await make_next(space, SLOT) is Next.NOT_PENDING


async def test_slots_that_are_over_are_skipped(space: Keyspace) -> None:
    await upsert(space)
    move(space, SLOT)
    space.clock.ms = NOW + 200_002

    await make_next(space, SLOT)

    assert space.read()["repeat"] == {"sch": NOW + 240_000}


async def test_offset_of_a_longer_interval_puts_nothing_off(space: Keyspace) -> None:
    await upsert(space)
    move(space, SLOT)
    # BullMQ keeps the offset into the day of a schedule that it made one of a minute.
    space.client.hset(space.keys.scheduler("sch"), "offset", 600 * MINUTE + 20_000)
    space.clock.ms = NOW + 200_002

    await make_next(space, SLOT)

    assert space.read()["repeat"] == {"sch": NOW + 240_000}


async def test_missing_offset_is_stored(space: Keyspace) -> None:
    await upsert(space)
    move(space, SLOT)
    space.client.hdel(space.keys.scheduler("sch"), "offset")

    await make_next(space, SLOT)

    assert space.read()["repeat:sch"]["offset"] == "20000"


async def test_time_of_a_pattern_is_the_callers(space: Keyspace) -> None:
    await upsert(space, CRON, due_ms=CRON_DUE)
    taken, following = f"repeat:sch:{CRON_DUE}", f"repeat:sch:{CRON_DUE + 300_000}"
    move(space, taken)
    space.clock.ms = CRON_DUE

    await make_next(space, taken, due_ms=CRON_DUE + 300_000)

    options = json.loads(space.read()[following]["opts"])
    assert (options["prevMillis"], options["repeat"]["count"]) == (CRON_DUE + 300_000, 2)


async def test_job_that_is_there_already_is_told(space: Keyspace) -> None:
    await upsert(space)
    move(space, SLOT)
    space.write({FOLLOWING: job()})
    before = space.read()

    assert await make_next(space, SLOT) is Next.DUPLICATE
    assert space.read() == before
    assert space.events()[-1] == ("duplicated", FOLLOWING)


@pytest.mark.parametrize("every", ["soon", "0", "-5", "nan", "inf"])
async def test_definition_that_cannot_be_read_is_told(space: Keyspace, every: str) -> None:
    await upsert(space, CRON, due_ms=CRON_DUE)
    taken = f"repeat:sch:{CRON_DUE}"
    space.client.hset(space.keys.scheduler("sch"), "every", every)

    assert await make_next(space, taken) is Next.UNREADABLE


async def test_definition_of_another_type_is_told(space: Keyspace) -> None:
    await upsert(space)
    space.client.delete(space.keys.scheduler("sch"))
    space.write({"repeat:sch": "mine"})

    assert await make_next(space, SLOT) is Next.UNREADABLE


async def test_count_that_is_no_number_starts_anew(space: Keyspace) -> None:
    await upsert(space)
    move(space, SLOT)
    space.client.hset(space.keys.scheduler("sch"), "ic", "many")

    assert await make_next(space, SLOT) is Next.MADE
    assert space.read()["repeat:sch"]["ic"] == "1"


async def test_repeatable_job_of_version_5_keeps_its_payload(space: Keyspace) -> None:
    due = NOW + 40_000
    taken, following = f"repeat:{LEGACY}:{due}", f"repeat:{LEGACY}:{due + MINUTE}"
    options = {
        "attempts": 2, "delay": 40_000, "jobId": taken, "prevMillis": due, "timestamp": NOW,
        "repeat": {"count": 1, "every": MINUTE},
    }  # fmt: skip
    space.write(
        {
            "repeat": {LEGACY: due},
            f"repeat:{LEGACY}": {"name": "legacy", "every": str(MINUTE)},
            taken: job(name="legacy", data='{"a":1}', opts=json.dumps(options), rjk=LEGACY),
        }
    )
    space.clock.ms = due + 5

    assert await make_next(space, taken, scheduler_id=LEGACY) is Next.MADE

    table = space.read()
    assert table["repeat"] == {LEGACY: due + MINUTE}
    assert table[f"repeat:{LEGACY}"] == {"name": "legacy", "every": str(MINUTE)}
    assert (table[following]["name"], table[following]["data"]) == ("legacy", '{"a":1}')
    assert json.loads(table[following]["opts"]) == options | {
        "jobId": following, "prevMillis": due + MINUTE, "timestamp": due + 5, "delay": MINUTE - 5,
        "repeat": {"count": 2, "every": MINUTE},
    }  # fmt: skip


async def test_interval_of_the_job_counts_where_the_definition_has_none(space: Keyspace) -> None:
    await upsert(space, Schedule.every("30s"))
    move(space, SLOT)
    space.client.hdel(space.keys.scheduler("sch"), "every")

    await make_next(space, SLOT)

    assert space.read()["repeat"] == {"sch": NOW + 30_000}
