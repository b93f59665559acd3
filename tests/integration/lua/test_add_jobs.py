from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from tests.integration.lua.keyspace import NOW, PRIORITY, STEP, Keyspace, Table, job

from oxcart import JobOptions, JobSpec
from oxcart._store.calls.adding import Added, add_jobs, encode_job


async def add(space: Keyspace, *options: dict[str, Any], nonce: str = "n1") -> list[Added]:
    specs = [JobSpec(name="n", options=JobOptions(**given)) for given in options]
    jobs = [encode_job(spec, prefix=space.keys.prefix) for spec in specs]
    added: list[Added] = await space.run(add_jobs(space.keys, jobs, clock=space.clock, nonce=nonce))
    return added


PLAIN = {"attempts": 0}


@pytest.mark.parametrize(
    ("options", "place"),
    [
        ({}, {"wait": ["1"], "marker": {"0": 0}}),
        ({"priority": 2}, {"prioritized": {"1": 2 * PRIORITY + 1}, "pc": "1", "marker": {"0": 0}}),
        ({"delay": "5s"}, {"delayed": {"1": (NOW + 5_000) * STEP}, "marker": {"1": NOW + 5_000}}),
        ({"delay": "0s"}, {"wait": ["1"], "marker": {"0": 0}}),
        (
            {"delay": datetime.fromtimestamp(NOW / 1_000 + 60, UTC)},
            {"delayed": {"1": (NOW + 60_000) * STEP}, "marker": {"1": NOW + 60_000}},
        ),
        (
            {"delay": datetime.fromtimestamp(NOW / 1_000 - 60, UTC)},
            {"wait": ["1"], "marker": {"0": 0}},
        ),
    ],
)
async def test_job_goes_to_the_place_that_its_options_say(
    space: Keyspace, options: dict[str, Any], place: Table
) -> None:
    await add(space, {**PLAIN, **options})

    found = space.read()
    del found["1"]
    assert found == {"id": "1", **place}


async def test_instant_in_the_past_is_stored_as_no_delay(space: Keyspace) -> None:
    past = datetime.fromtimestamp(NOW / 1_000 - 60, UTC)

    await add(space, {**PLAIN, "delay": past})

    assert space.read()["1"]["delay"] == "0"


async def test_timestamp_of_the_past_counts_for_the_due_time(space: Keyspace) -> None:
    made_at = datetime.fromtimestamp(NOW / 1_000 - 10, UTC)

    (added,) = await add(space, {**PLAIN, "delay": "15s", "timestamp": made_at})

    assert space.read()["delayed"] == {"1": (NOW + 5_000) * STEP}
    assert added.added_at_ms == NOW


async def test_batch_is_added_in_order_with_one_marker_of_each_kind(space: Keyspace) -> None:
    later, sooner = {**PLAIN, "delay": "9s"}, {**PLAIN, "delay": "7s"}

    added = await add(space, PLAIN, later, {**PLAIN, "lifo": True}, sooner, PLAIN)

    assert [result.job_id for result in added] == ["1", "2", "3", "4", "5"]
    found = space.read()
    assert found["wait"] == ["5", "1", "3"]
    assert found["marker"] == {"0": 0, "1": NOW + 7_000}
    assert [event[:2] for event in space.events()] == [
        ("added", "1"), ("waiting", "1"), ("added", "2"), ("delayed", "2"), ("added", "3"),
        ("waiting", "3"), ("added", "4"), ("delayed", "4"), ("added", "5"), ("waiting", "5"),
    ]  # fmt: skip


async def test_repeated_batch_adds_nothing_and_answers_as_the_first_did(space: Keyspace) -> None:
    first = await add(space, PLAIN, {**PLAIN, "job_id": "own"}, {**PLAIN, "job_id": "own"})
    before, events = space.read(), space.events()
    space.clock.ms += 500

    again = await add(space, PLAIN, {**PLAIN, "job_id": "own"}, {**PLAIN, "job_id": "own"})

    assert again == first
    assert [result.is_new for result in first] == [True, True, False]
    assert space.read() == before
    assert space.events() == events


async def test_another_nonce_adds_again(space: Keyspace) -> None:
    await add(space, PLAIN, nonce="n1")
    (second,) = await add(space, PLAIN, nonce="n2")

    assert second.job_id == "2"


async def test_nonces_expire_and_stand_where_nodes_clean_up_does_not_look(space: Keyspace) -> None:
    await add(space, PLAIN, nonce="n1")

    assert 0 < space.ttl_ms("oxcart:add-n1") <= 60_000


async def test_existing_id_changes_nothing_but_the_counter(space: Keyspace) -> None:
    space.write({"own": job(data='{"v":1}', atm="2"), "completed": {"own": 1}})

    (added,) = await add(space, {**PLAIN, "job_id": "own"})

    assert (added.job_id, added.is_new) == ("own", False)
    assert space.read() == {
        "own": job(data='{"v":1}', atm="2"), "completed": {"own": 1}, "id": "1",
    }  # fmt: skip
    assert space.events() == [("duplicated", "own")]


async def test_id_whose_key_has_another_type_is_a_duplicate_too(space: Keyspace) -> None:
    space.write({"own": "not a job"})

    taken, free = await add(space, {**PLAIN, "job_id": "own"}, PLAIN)

    assert (taken.is_new, free.is_new) == (False, True)
    assert space.read()["own"] == "not a job"


@pytest.mark.parametrize(
    ("meta", "active", "wakes"),
    [
        ({"paused": "1"}, [], False),
        ({"concurrency": "2"}, ["a", "b"], False),
        ({"concurrency": "2"}, ["a"], True),
        ({"concurrency": "many"}, ["a"], True),
    ],
)
async def test_marker_is_not_written_while_nothing_may_be_taken(
    space: Keyspace, meta: dict[str, str], active: list[str], wakes: bool
) -> None:
    space.write({"meta": meta} | ({"active": active} if active else {}))

    await add(space, PLAIN)

    assert ("marker" in space.read()) is wakes


async def test_stream_length_that_is_no_number_is_replaced(space: Keyspace) -> None:
    space.write({"meta": {"opts.maxLenEvents": "lots"}})

    await add(space, PLAIN)

    assert space.read(without="events")["meta"] == {"opts.maxLenEvents": "10000"}


async def test_jobs_due_in_the_same_ms_keep_their_order_up_to_the_last_sequence(
    space: Keyspace,
) -> None:
    due = NOW + 1_000
    space.write({"delayed": {"last": due * STEP + STEP - 1}})

    await add(space, {**PLAIN, "delay": "1s"})

    assert space.read()["delayed"] == {"last": due * STEP + 4_095, "1": due * STEP + 4_095}
