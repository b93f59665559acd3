"""Listings over one state, several, or all, and their pages."""

from __future__ import annotations

import pytest
from tests.integration.queue.hand import Hand

from oxcart import JobSpec, JobState, Queue
from oxcart._queue import reads
from oxcart.errors import ConfigError


@pytest.fixture
async def ids(queue: Queue, hand: Hand) -> dict[JobState, list[str]]:
    """Jobs in four states, each as listed in ascending order."""
    done = [job.id for job in await queue.add_many([JobSpec(name="n") for _ in range(2)])]
    for job_id in await hand.take(2):
        await hand.complete(job_id)
    failed = [job.id for job in await queue.add_many([JobSpec(name="n") for _ in range(2)])]
    for job_id in await hand.take(2):
        await hand.fail(job_id)
    waiting = [job.id for job in await queue.add_many([JobSpec(name="n") for _ in range(3)])]
    delayed = [(await queue.add("n", delay="1h")).id]
    return {
        JobState.WAITING: waiting,
        JobState.DELAYED: delayed,
        JobState.COMPLETED: done,
        JobState.FAILED: failed,
    }


async def test_several_states_are_listed_one_after_another(
    queue: Queue, ids: dict[JobState, list[str]]
) -> None:
    states = [JobState.FAILED, JobState.ACTIVE, JobState.WAITING, JobState.FAILED]

    listed = [job.id for job in await queue.get_jobs(states, ascending=True)]

    assert ids[JobState.FAILED] + ids[JobState.WAITING] == listed


async def test_positions_count_through_all_states(
    queue: Queue, ids: dict[JobState, list[str]]
) -> None:
    states = [JobState.WAITING, JobState.DELAYED, JobState.FAILED]
    expected = [job_id for state in states for job_id in ids[state]]

    for start in range(7):
        for end in range(start, 7):
            page = await queue.get_jobs(states, start=start, end=end, ascending=True)
            assert expected[start : end + 1] == [job.id for job in page]
        rest = await queue.get_jobs(states, start=start, end=-1, ascending=True)
        assert expected[start:] == [job.id for job in rest]


async def test_all_jobs_are_listed(queue: Queue, ids: dict[JobState, list[str]]) -> None:
    listed = {job.id for job in await queue.get_jobs(end=-1)}

    assert {job_id for some in ids.values() for job_id in some} == listed


async def test_long_listing_is_read_in_portions(
    queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reads, "_READ_BATCH", 4)
    added = [job.id for job in await queue.add_many([JobSpec(name="n") for _ in range(11)])]

    every = await queue.get_jobs(JobState.WAITING, end=-1, ascending=True)
    page = await queue.get_jobs(JobState.WAITING, start=1, end=9, ascending=True)

    assert added == [job.id for job in every]
    assert added[1:10] == [job.id for job in page]


async def test_wrong_listing_is_refused(queue: Queue) -> None:
    with pytest.raises(ConfigError, match="list of states is empty"):
        await queue.get_jobs([])
    with pytest.raises(ConfigError, match="start is -1"):
        await queue.get_jobs(start=-1)
    with pytest.raises(ConfigError, match="end is 3"):
        await queue.get_jobs(start=9, end=3)
