"""The taking half of ``step``."""

from __future__ import annotations

from typing import Any

import pytest
from tests.integration.lua.keyspace import NOW, PRIORITY, STEP, Keyspace, Table, job
from tests.integration.lua.steps import TOKEN, active, end, ids_of, send

GHOST_OR_WRONG: list[Table] = [{}, {"bad": "a string"}, {"bad": ["a", "list"]}, {"bad": {"a": 1}}]


async def test_jobs_are_taken_from_the_right_then_by_priority(space: Keyspace) -> None:
    space.write({"wait": ["2", "1"], "prioritized": {"4": 2 * PRIORITY, "3": PRIORITY}})
    space.write({job_id: job() for job_id in "1234"})

    reply = await send(space, take=4, worker_name="w1")

    assert ids_of(reply) == ["1", "2", "3", "4"]
    found = space.read()
    assert found["active"] == ["4", "3", "2", "1"]
    assert found["marker"] == {"0": 0}
    assert found["1"] == job(processedOn=str(NOW), pb="w1", ats="1")
    assert 0 < space.ttl_ms("1:lock") <= 30_000
    assert space.events() == [("active", job_id, "waiting") for job_id in "1234"]


async def test_fields_are_given_as_they_stand_after_the_take(space: Keyspace) -> None:
    space.write({"wait": ["1"], "1": job(ats="3", processedOn="5", pb="other")})

    reply = await send(space, take=1, worker_name="w1")

    given = {name.decode(): value.decode() for name, value in reply.taken[0].fields.items()}
    assert given == space.read()["1"]
    assert (given["ats"], given["pb"], given["processedOn"]) == ("4", "w1", str(NOW))


async def test_nameless_worker_leaves_the_name_of_the_last_one(space: Keyspace) -> None:
    space.write({"wait": ["1"], "1": job(pb="other")})

    await send(space, take=1)

    assert space.read()["1"]["pb"] == "other"


@pytest.mark.parametrize("beside", GHOST_OR_WRONG)
async def test_id_without_a_readable_job_is_dropped_and_told(
    space: Keyspace, beside: Table
) -> None:
    space.write({"wait": ["2", "bad", "1"], "1": job(), "2": job(), **beside})

    reply = await send(space, take=2)

    assert ids_of(reply) == ["1", "2"]
    assert reply.dropped == ("bad",)
    found = space.read()
    assert found["active"] == ["2", "1"]
    assert found.get("bad") == beside.get("bad")
    assert "bad:lock" not in found


@pytest.mark.parametrize("beside", GHOST_OR_WRONG)
async def test_due_id_without_a_readable_job_is_dropped_and_the_others_promoted(
    space: Keyspace, beside: Table
) -> None:
    due = {"1": (NOW - 2) * STEP, "bad": (NOW - 1) * STEP, "2": NOW * STEP}
    space.write({"delayed": due, "1": job(delay="5"), "2": job(delay="5"), **beside})

    reply = await send(space, take=2)

    assert ids_of(reply) == ["1", "2"]
    assert reply.dropped == ("bad",)
    found = space.read()
    assert "delayed" not in found
    assert found.get("bad") == beside.get("bad")


async def test_job_with_a_broken_counter_is_taken_like_the_others(space: Keyspace) -> None:
    """The ids were taken out of the list by then: an error here would lose them."""
    space.write({"wait": ["2", "1"], "1": job(ats="three"), "2": job()})

    reply = await send(space, take=2)

    assert ids_of(reply) == ["1", "2"]
    assert space.read()["1"]["ats"] == "1"


async def test_old_markers_of_version_4_leave_without_a_word(space: Keyspace) -> None:
    space.write({"wait": ["1", "0:1700000000000"], "1": job()})

    reply = await send(space, take=1)

    assert (ids_of(reply), reply.dropped) == (["1"], ())


async def test_more_ghosts_than_one_step_looks_at_wake_the_next_worker(space: Keyspace) -> None:
    space.write({"wait": ["1", *(f"ghost{number}" for number in range(9))], "1": job()})

    first = await send(space, take=1)
    is_woken = space.read()["marker"] == {"0": 0}
    second = await send(space, take=1)

    assert (len(first.dropped), is_woken) == (5, True)
    assert (len(second.dropped), ids_of(second)) == (4, ["1"])


@pytest.mark.parametrize(
    ("meta", "running", "asked", "expected", "is_held_back"),
    [
        ({"paused": "1"}, 0, 2, 0, True),
        ({"concurrency": "3"}, 1, 5, 2, True),
        ({"concurrency": "3"}, 1, 2, 2, False),
        ({"concurrency": "3"}, 3, 1, 0, True),
        ({"concurrency": "3"}, 4, 1, 0, True),
        ({"concurrency": "plenty"}, 4, 2, 2, False),
    ],
)
async def test_no_more_is_taken_than_the_queue_allows(
    space: Keyspace,
    meta: dict[str, str],
    running: int,
    asked: int,
    expected: int,
    is_held_back: bool,
) -> None:
    space.write({"meta": meta, "wait": [f"w{n}" for n in range(9)]})
    space.write({f"w{n}": job() for n in range(9)})
    space.write(active(*(f"r{n}" for n in range(running))) if running else {})

    reply = await send(space, take=asked)

    assert (len(reply.taken), reply.is_held_back) == (expected, is_held_back)


async def test_due_time_is_told_when_the_queue_would_have_given_more(space: Keyspace) -> None:
    """Asking for more than the concurrency leaves must not hide when the next job is due."""
    space.write({"meta": {"concurrency": "4"}, "wait": ["1"], "1": job()})
    space.write({"delayed": {"d": (NOW + 300) * STEP}, "d": job(), "pc": "5"})

    reply = await send(space, take=10)

    assert (ids_of(reply), reply.is_held_back) == (["1"], False)
    assert reply.next_due_ms == NOW + 300
    assert "pc" not in space.read()


async def test_place_that_an_ended_run_frees_counts(space: Keyspace) -> None:
    space.write({"meta": {"concurrency": "1"}, "wait": ["2"], "2": job()} | active("1"))

    reply = await send(space, end("1"), take=1)

    assert ids_of(reply) == ["2"]


async def test_promotion_is_bounded_in_order_of_due_time(space: Keyspace) -> None:
    due = {f"d{number}": (NOW - 2_000 + number) * STEP for number in range(1_100)}
    space.write({"delayed": due, **{job_id: job(delay="5") for job_id in due}})

    reply = await send(space, take=1)

    found = space.read()
    assert ids_of(reply) == ["d0"]
    assert (len(found["wait"]), len(found["delayed"])) == (999, 100)
    assert found["wait"][-1] == "d1"
    assert found["d1"]["delay"] == "0"


async def test_promotion_looks_one_ms_ahead_and_no_further(space: Keyspace) -> None:
    due = {"now": NOW * STEP + 5, "edge": (NOW + 1) * STEP - 1, "later": (NOW + 1) * STEP}
    space.write({"delayed": due, **{job_id: job() for job_id in due}})

    reply = await send(space, take=3)

    assert ids_of(reply) == ["now", "edge"]
    assert reply.next_due_ms == NOW + 1


async def test_promoted_job_with_a_priority_goes_to_its_priority(space: Keyspace) -> None:
    space.write({"delayed": {"d": NOW * STEP}, "d": job(priority="4", delay="9")})
    space.write({"meta": {"paused": "1"}})

    await send(space, take=1)

    found = space.read()
    assert found["prioritized"] == {"d": 4 * PRIORITY + 1}
    assert "marker" not in found
    assert space.events() == [("waiting", "d", "delayed")]


async def test_empty_queue_answers_nothing_and_writes_nothing(space: Keyspace) -> None:
    reply = await send(space, take=5)

    assert (reply.taken, reply.codes, reply.next_due_ms) == ((), (), None)
    assert (reply.now_ms, reply.is_held_back) == (NOW, False)
    assert space.read(without="") == {}


@pytest.mark.parametrize(
    "fields",
    [
        {"name": b"\xff\xfe", "data": b"\x00", "opts": b"{"},
        {"data": b"1" * 100_000},
        {"priority": b"nan", "delay": b"x", "timestamp": b"-"},
    ],
)
async def test_any_hash_is_taken_whatever_it_holds(space: Keyspace, fields: dict[Any, Any]) -> None:
    space.client.hset(space.keys.job("1"), mapping=fields)
    space.write({"wait": ["1"]})

    reply = await send(space, take=1)

    assert ids_of(reply) == ["1"]
    assert space.client.get(space.keys.lock("1")) == TOKEN.encode()


@pytest.mark.parametrize("plain", [True, False])
async def test_step_takes_no_more_once_its_payloads_are_large(space: Keyspace, plain: bool) -> None:
    """What is left stays where it was, and the reply says that there is more."""
    large = "x" * 600_000
    space.write({"wait": ["3", "2", "1"], "prioritized": {"5": 2 * PRIORITY, "4": PRIORITY}})
    space.write({"meta": {"opts.maxLenEvents": "10000"}})
    space.write({job_id: job(data=large) for job_id in "12345"})

    first = await send(space, take=5, plain=plain)
    between = space.read()
    second = await send(space, take=5, plain=plain)
    third = await send(space, take=5, plain=plain)

    assert [ids_of(reply) for reply in (first, second, third)] == [["1", "2"], ["3", "4"], ["5"]]
    assert [reply.is_full for reply in (first, second, third)] == [True, True, False]
    assert between["wait"] == ["3"]
    assert between["prioritized"] == {"4": PRIORITY, "5": 2 * PRIORITY}
    assert between["marker"] == {"0": 0}


async def test_job_larger_than_a_step_may_be_is_taken_alone(space: Keyspace) -> None:
    space.write({"wait": ["2", "1"], "1": job(data="x" * 3_000_000), "2": job()})

    reply = await send(space, take=2)

    assert (ids_of(reply), reply.is_full) == (["1"], True)


async def test_job_that_is_to_run_alone_is_the_last_one_of_a_step(space: Keyspace) -> None:
    """The worker runs nothing beside it: what else a step took would only be put back."""
    mark = {"ox:alone": "1"}
    space.write({"wait": ["4", "3", "2", "1"], "1": job(), "2": job(**mark), "3": job(**mark)})
    space.write({"4": job()})

    reply = await send(space, take=4)

    assert ["1", "2"] == ids_of(reply)
    assert ["4", "3"] == space.read()["wait"]
