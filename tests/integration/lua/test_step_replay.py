"""Sending a step again, because its reply was lost or its first sending came late."""

from __future__ import annotations

from tests.integration.lua.keyspace import NOW, STEP, Keyspace, job
from tests.integration.lua.steps import FAILED, active, end, ids_of, send

from oxcart._model.outcome import Retried


async def test_repeated_step_changes_nothing_and_gives_the_same_jobs(space: Keyspace) -> None:
    space.write(active("2", "1") | {"wait": ["5", "4", "3"]})
    space.write({job_id: job() for job_id in "345"})
    runs = [end("1"), end("gone"), end("2", Retried("boom", "trace", 0))]

    first = await send(space, *runs, take=2, sequence=7, token="w:7")
    before, events = space.read(), space.events()
    space.clock.ms += 5_000
    again = await send(space, *runs, take=2, sequence=7, token="w:7")

    assert (again.codes, ids_of(again)) == (first.codes, ids_of(first)) == ((0, -1, 0), ["3", "4"])
    assert [taken.fields for taken in again.taken] == [taken.fields for taken in first.taken]
    assert (space.read(), space.events()) == (before, events)
    assert again.now_ms == NOW + 5_000


async def test_without_a_repeat_the_same_runs_are_refused(space: Keyspace) -> None:
    """What the number is for: to the script itself a second end is a lost lock."""
    space.write(active("1"))

    await send(space, end("1"), sequence=1)
    again = await send(space, end("1"), sequence=2)

    assert again.codes == (-2,)
    assert space.read()["1"]["atm"] == "1"


async def test_job_that_is_no_longer_held_is_not_given_again(space: Keyspace) -> None:
    space.write({"wait": ["2", "1"], "1": job(), "2": job()})
    await send(space, take=2, sequence=1, token="w:1")
    space.write({"1:lock": "another worker's"})

    again = await send(space, take=2, sequence=1, token="w:1")

    assert ids_of(again) == ["2"]


async def test_step_that_arrives_after_a_later_one_takes_nothing(space: Keyspace) -> None:
    """Its worker has had the answer, or has gone on without: nobody would run the jobs."""
    space.write(active("1") | {"wait": ["3", "2"], "2": job(), "3": job()})
    await send(space, take=1, sequence=2, token="w:2")
    before = space.read()

    late = await send(space, end("1", FAILED), take=5, sequence=1, token="w:1")

    assert (late.codes, late.taken) == ((), ())
    assert space.read() == before


async def test_steps_are_told_apart_by_number_and_not_by_text(space: Keyspace) -> None:
    space.write({"wait": ["2", "1"], "1": job(), "2": job()})
    await send(space, take=1, sequence=9, token="w:9")

    tenth = await send(space, take=1, sequence=10, token="w:10")

    assert ids_of(tenth) == ["2"]


async def test_step_without_a_number_is_not_remembered(space: Keyspace) -> None:
    space.write({"wait": ["2", "1"], "1": job(), "2": job()})

    taken = [ids_of(await send(space, take=1)) for _ in range(2)]

    assert taken == [["1"], ["2"]]
    assert not list(space.client.scan_iter(match=f"{space.keys.base}oxcart:*"))


async def test_memory_of_a_step_expires(space: Keyspace) -> None:
    await send(space, take=1, sequence=1)

    assert 0 < space.ttl_ms("oxcart:step-w") <= 60_000


async def test_repeated_step_after_its_jobs_were_ended_gives_none(space: Keyspace) -> None:
    space.write({"wait": ["1"], "1": job(), "delayed": {"d": (NOW + 5) * STEP}})
    await send(space, take=1, sequence=1, token="tok")
    space.client.delete(space.keys.lock("1"))

    again = await send(space, take=1, sequence=1, token="tok")

    assert again.taken == ()
