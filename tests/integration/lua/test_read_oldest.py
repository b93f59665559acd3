from __future__ import annotations

import json

import pytest
from tests.integration.lua.keyspace import NOW, PRIORITY, Keyspace, Table, job

from oxcart._store.calls.watching import figures_of, get_figures


async def age_of(space: Keyspace) -> int | None:
    """For how long the oldest job has been ready, in ms."""
    figures = figures_of(await space.store.run_all(get_figures(space.keys)), space.clock.now_ms())
    return figures.oldest_waiting_ms


def aged(ms: int, **changes: str) -> dict[str, str]:
    """A job that was added some time ago."""
    return job(timestamp=str(NOW - ms), **changes)


DELAYED = json.dumps({"attempts": 0, "delay": 60_000})


@pytest.mark.parametrize(
    ("before", "expected"),
    [
        ({}, None),
        ({"active": ["1"], "1": aged(5)}, None),
        ({"delayed": {"1": float(NOW)}, "1": aged(5)}, None),
        ({"wait": ["3", "2", "1"], "1": aged(30), "2": aged(20), "3": aged(10)}, 30),
        # Added at the side that is taken first: the oldest is at the other one.
        ({"wait": ["1", "2"], "1": aged(30), "2": aged(20)}, 30),
        ({"paused": ["2", "1"], "1": aged(30), "2": aged(20)}, 30),
        # A high priority comes first, and a low one waits.
        (
            {
                "prioritized": {"1": 1 * PRIORITY + 9, "2": 1 * PRIORITY + 10, "3": 7 * PRIORITY},
                "1": aged(5), "2": aged(4), "3": aged(90),
            },
            90,
        ),
        ({"wait": ["1"], "1": aged(5), "prioritized": {"2": 3.0 * PRIORITY}, "2": aged(6)}, 6),
        # Not yet due for most of its age.
        ({"wait": ["1"], "1": aged(60_007, opts=DELAYED)}, 7),
        # Promoted before it was due.
        ({"wait": ["1"], "1": aged(5, opts=DELAYED)}, 0),
        # Tried before, and waiting for its next attempt.
        ({"wait": ["1"], "1": aged(90_000, processedOn=str(NOW - 40))}, 40),
        # Another machine's clock is ahead.
        ({"wait": ["1"], "1": aged(-500)}, 0),
    ],
)  # fmt: skip
async def test_oldest_of_the_ready_jobs_is_found(
    space: Keyspace, before: Table, expected: int | None
) -> None:
    space.write(before)

    assert expected == await age_of(space)


@pytest.mark.parametrize(
    "wrong",
    [
        {"opts": "no json"},
        {"opts": "[1]"},
        {"opts": '{"delay":"soon"}'},
        {"opts": '{"delay":-1}'},
        {"processedOn": "soon"},
    ],
)
async def test_what_cannot_be_read_counts_as_not_there(
    space: Keyspace, wrong: dict[str, str]
) -> None:
    space.write({"wait": ["1"], "1": aged(5, **wrong)})

    assert 5 == await age_of(space)


async def test_ids_whose_job_is_no_job_are_passed_over(space: Keyspace) -> None:
    space.write({"wait": ["gone", "2", "text"], "2": aged(5), "text": "a string"})
    assert await age_of(space) is None

    space.client.rpush(space.keys.wait, "2")
    assert 5 == await age_of(space)


async def test_more_priorities_than_are_looked_at_do_no_harm(space: Keyspace) -> None:
    ids = [f"p{number}" for number in range(1, 101)]
    scores = {job_id: number * PRIORITY for number, job_id in enumerate(ids, start=1)}
    space.write({"prioritized": scores, **{job_id: aged(5) for job_id in ids}})

    assert 5 == await age_of(space)


async def test_nothing_is_written(space: Keyspace) -> None:
    space.write({"wait": ["1"], "1": aged(5), "prioritized": {"2": 3.0 * PRIORITY}, "2": aged(6)})
    before = space.read(without="")

    await age_of(space)

    assert before == space.read(without="")
