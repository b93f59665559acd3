from __future__ import annotations

from tests.integration.lua.keyspace import Keyspace, job

from oxcart import JobState, Queue
from oxcart._store.calls.reading import get_job, get_jobs


async def test_jobs_are_read_in_order_and_what_is_none_left_out(space: Keyspace) -> None:
    space.write({"1": job(name="a"), "2": "a string", "3": job(name="c"), "5": ["a", "list"]})

    records = await space.run(get_jobs(space.keys, ["3", "2", "4", "1", "5"]))

    assert [record and record.name for record in records] == ["c", None, None, "a", None]


async def test_one_job_is_read_or_none(space: Keyspace) -> None:
    space.write({"1": job(name="a"), "2": "a string"})

    assert (await space.run(get_job(space.keys, "1"))).name == "a"
    assert await space.run(get_job(space.keys, "2")) is None
    assert await space.run(get_job(space.keys, "3")) is None


async def test_page_passes_over_keys_of_another_type_and_is_filled_up(space: Keyspace) -> None:
    space.write({"wait": ["5", "bad", "4", "ghost", "3", "2", "1"], "bad": "a string"})
    space.write({job_id: job() for job_id in "12345"})
    queue = Queue("q", prefix=space.keys.prefix, store=space.store)

    page = await queue.get_jobs(JobState.WAITING, start=0, end=3)

    assert [found.id for found in page] == ["5", "4", "3", "2"]


async def test_all_jobs_of_a_state_are_read_in_several_calls(space: Keyspace) -> None:
    ids = [f"j{number:04}" for number in range(1_234)]
    space.write({"wait": ids, **{job_id: job() for job_id in ids}})
    queue = Queue("q", prefix=space.keys.prefix, store=space.store)

    found = await queue.get_jobs(JobState.WAITING, start=0, end=-1)

    assert [each.id for each in found] == ids
