from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from tests.integration.lua.keyspace import NOW, PRIORITY, STEP, Keyspace
from tests.integration.lua.schedulers import CRON, CRON_DUE, EVERY, MINUTE, SLOT, move, upsert

from oxcart import Schedule
from oxcart._store.calls.scheduling import Upserted
from oxcart._wire.codes import Code
from oxcart.errors import WrongKeyType

PENDING = f"repeat:sch:{NOW + MINUTE}"


def pending_at(due: int, delay: int, now: int = NOW) -> Upserted:
    return Upserted(now_ms=now, due_ms=due, delay_ms=delay)


async def test_first_job_of_an_interval_is_ready_at_once(space: Keyspace) -> None:
    assert await upsert(space, data={"t": 1}) == pending_at(NOW, 0)

    assert space.read() == {
        "id": "1",
        "marker": {"0": 0},
        "repeat": {"sch": NOW},
        "repeat:sch": {
            "name": "tick", "every": "60000", "offset": "20000", "data": '{"t":1}', "ic": "1",
        },
        SLOT: {
            "name": "tick", "data": '{"t":1}', "timestamp": str(NOW), "delay": "0",
            "priority": "0", "rjk": "sch",
            "opts": '{"repeat":{"every":60000,"count":1},"repeatJobKey":"sch",'
            f'"jobId":"{SLOT}","timestamp":{NOW},"delay":0}}',
        },
        "wait": [SLOT],
    }  # fmt: skip
    assert space.events() == [("added", SLOT, "tick"), ("waiting", SLOT)]


async def test_job_of_a_pattern_waits_for_its_time(space: Keyspace) -> None:
    job_id = f"repeat:sch:{CRON_DUE}"

    assert await upsert(space, CRON, due_ms=CRON_DUE) == pending_at(CRON_DUE, 100_000)

    table = space.read()
    assert table["delayed"] == {job_id: CRON_DUE * STEP}
    assert table["marker"] == {"1": CRON_DUE}
    assert json.loads(table[job_id]["opts"])["prevMillis"] == CRON_DUE
    assert space.events() == [("added", job_id, "tick"), ("delayed", job_id, str(CRON_DUE))]


async def test_options_of_the_template_are_the_jobs(space: Keyspace) -> None:
    await upsert(space, priority=7, attempts=3)

    table = space.read()
    assert table["prioritized"] == {SLOT: 7 * PRIORITY + 1}
    assert table["repeat:sch"]["opts"] == '{"attempts":3,"priority":7}'
    assert table[SLOT]["priority"] == "7"


async def test_lifo_job_runs_next(space: Keyspace) -> None:
    space.write({"wait": ["1"]})

    await upsert(space, lifo=True)

    assert space.read()["wait"] == ["1", SLOT]


async def test_job_without_a_marker_while_the_queue_is_paused(space: Keyspace) -> None:
    space.write({"meta": {"paused": "1"}})

    await upsert(space)

    assert "marker" not in space.read()


@pytest.mark.parametrize("place", ["wait", "delayed", "prioritized", "paused"])
@pytest.mark.parametrize("is_paused", [True, False])
async def test_pending_job_is_replaced_wherever_it_waits(
    space: Keyspace, place: str, is_paused: bool
) -> None:
    await upsert(space, data={"v": 1})
    space.client.delete(space.keys.wait)
    space.write({place: [SLOT] if place in ("wait", "paused") else {SLOT: 5.0}})
    space.write({f"{SLOT}:logs": ["old"]})
    if is_paused:
        space.write({"meta": {"paused": "1"}})
    space.clock.ms = NOW + 10

    assert await upsert(space, data={"v": 2}) == pending_at(NOW, 0, NOW + 10)

    table = space.read()
    assert table["wait"] == [SLOT]
    assert (table[SLOT]["data"], table["repeat:sch"]["data"]) == ('{"v":2}', '{"v":2}')
    assert not {f"{SLOT}:logs", "delayed", "prioritized", "paused"} & table.keys()
    assert "removed" not in {event[0] for event in space.events()}


async def test_job_that_runs_is_left_alone_and_followed(space: Keyspace) -> None:
    await upsert(space)
    move(space, SLOT)

    assert await upsert(space) == pending_at(NOW + MINUTE, MINUTE)

    table = space.read()
    assert table["active"] == [SLOT]
    assert table["delayed"] == {PENDING: (NOW + MINUTE) * STEP}
    assert table["repeat"] == {"sch": NOW + MINUTE}


async def test_another_interval_is_due_at_once(space: Keyspace) -> None:
    await upsert(space)
    move(space, SLOT)
    space.clock.ms = NOW + 2

    assert await upsert(space, Schedule.every("30s")) == pending_at(NOW + 2, 0, NOW + 2)


async def test_shorter_interval_keeps_what_the_offset_is_in_it(space: Keyspace) -> None:
    await upsert(space, Schedule.every("1h", offset="7m5s"))

    await upsert(space, Schedule.every("1m"))

    assert space.read()["repeat:sch"]["offset"] == "5000"


async def test_another_offset_moves_the_pending_job(space: Keyspace) -> None:
    await upsert(space, Schedule.every("1m", offset="7s"))

    moved = await upsert(space, Schedule.every("1m", offset="8s"))

    assert moved == pending_at(NOW + 48_000, 48_000)
    assert space.read()["repeat:sch"]["offset"] == "8000"
    assert await upsert(space, Schedule.every("1m", offset="8s")) == moved


async def test_later_start_moves_the_pending_job(space: Keyspace) -> None:
    await upsert(space)
    start = datetime.fromtimestamp(NOW / 1_000 + 90, UTC)

    assert await upsert(space, Schedule.every("1m", start=start)) == pending_at(
        NOW + 90_000, 90_000
    )


async def test_interval_and_pattern_replace_each_other(space: Keyspace) -> None:
    await upsert(space)
    await upsert(space, CRON, due_ms=CRON_DUE)

    table = space.read()
    assert table["repeat:sch"].keys() == {"name", "offset", "ic", "tz", "pattern"}
    assert (table["delayed"].keys(), "wait" in table) == ({f"repeat:sch:{CRON_DUE}"}, False)

    await upsert(space)

    table = space.read()
    assert (table["wait"], "delayed" in table) == ([SLOT], False)


async def test_taken_slots_of_an_interval_are_passed_over(space: Keyspace) -> None:
    space.write({SLOT: {"name": "old"}, PENDING: {"name": "old"}})

    assert await upsert(space) == pending_at(NOW + 2 * MINUTE, 2 * MINUTE)


async def test_interval_without_a_free_slot_changes_nothing(space: Keyspace) -> None:
    for number in range(33):
        space.write({f"repeat:sch:{NOW + number * MINUTE}": {"name": "old"}})
    before = space.read()

    assert await upsert(space) is Code.SLOTS_TAKEN
    assert space.read() == before


async def test_taken_time_of_a_pattern_changes_nothing(space: Keyspace) -> None:
    space.write({f"repeat:sch:{CRON_DUE}": {"name": "old"}})
    await upsert(space, EVERY)
    before = space.read()

    assert await upsert(space, CRON, due_ms=CRON_DUE) is Code.SLOT_TAKEN
    assert space.read() == before


async def test_count_of_iterations_is_kept(space: Keyspace) -> None:
    await upsert(space)
    space.client.hset(space.keys.scheduler("sch"), "ic", "41")

    await upsert(space)

    assert space.read()["repeat:sch"]["ic"] == "41"


@pytest.mark.parametrize("suffix", ["repeat", "repeat:sch", "paused", "delayed"])
async def test_wrong_key_is_refused_before_anything_is_written(
    space: Keyspace, suffix: str
) -> None:
    space.write({suffix: "mine"})

    with pytest.raises(WrongKeyType, match=suffix):
        await upsert(space)

    assert space.read() == {suffix: "mine"}


async def test_job_of_a_pattern_that_is_due_and_was_not_taken_yet_is_kept(space: Keyspace) -> None:
    """A program that upserts at its start may start before the workers are up again."""
    await upsert(space, CRON, due_ms=CRON_DUE)
    space.clock.ms = CRON_DUE + 5_000

    again = await upsert(space, CRON, due_ms=CRON_DUE + 5 * MINUTE, data={"new": 1})

    assert again == pending_at(CRON_DUE, 0, space.clock.ms)
    found = space.read()
    assert found["wait"] == [f"repeat:sch:{CRON_DUE}"]
    assert found[f"repeat:sch:{CRON_DUE}"]["data"] == '{"new":1}'


@pytest.mark.parametrize(
    "changed", [Schedule.cron("*/6 * * * *"), Schedule.cron("*/5 * * * *", tz="Europe/Madrid")]
)
async def test_job_that_is_due_goes_with_a_pattern_that_is_changed(
    space: Keyspace, changed: Schedule
) -> None:
    await upsert(space, CRON, due_ms=CRON_DUE)
    space.clock.ms = CRON_DUE + 5_000
    later = CRON_DUE + 5 * MINUTE

    again = await upsert(space, changed, due_ms=later)

    assert again == pending_at(later, later - space.clock.ms, space.clock.ms)
