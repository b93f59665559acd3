from __future__ import annotations

import pytest
from tests.integration.lua.keyspace import NOW, PRIORITY, STEP, Keyspace, Table, job

from oxcart._store.calls.moving import promote

DELAYED = {"1": (NOW + 60_000) * STEP}


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (
            {"delayed": DELAYED, "1": job(delay="60000"), "wait": ["2"]},
            {"1": job(), "wait": ["1", "2"], "marker": {"0": 0}},
        ),
        (
            {"delayed": DELAYED, "1": job(delay="60000", priority="7")},
            {"1": job(priority="7"), "prioritized": {"1": 7 * PRIORITY + 1}, "pc": "1",
             "marker": {"0": 0}},
        ),
        (
            {"delayed": DELAYED, "1": job(delay="60000"), "marker": {"1": NOW + 60_000}},
            {"1": job(), "wait": ["1"], "marker": {"0": 0, "1": NOW + 60_000}},
        ),
    ],
)  # fmt: skip
async def test_delayed_job_becomes_ready(space: Keyspace, before: Table, after: Table) -> None:
    space.write(before)

    assert await space.run(promote(space.keys, "1")) == 0

    assert space.read() == after
    assert space.events() == [("waiting", "1", "delayed")]


@pytest.mark.parametrize(
    "before", [{}, {"1": job(), "wait": ["1"]}, {"delayed": {"2": 1.0}, "1": job()}]
)
async def test_job_that_is_not_delayed_stays_where_it_is(space: Keyspace, before: Table) -> None:
    space.write(before)

    assert await space.run(promote(space.keys, "1")) == -3

    assert space.read() == before
    assert space.events() == []


@pytest.mark.parametrize("beside", [{}, {"1": "a string"}])
async def test_id_without_a_readable_job_leaves_the_queue(space: Keyspace, beside: Table) -> None:
    space.write({"delayed": DELAYED, **beside})

    assert await space.run(promote(space.keys, "1")) == -1

    assert space.read() == beside


async def test_paused_queue_wakes_nobody(space: Keyspace) -> None:
    space.write({"delayed": DELAYED, "1": job(), "meta": {"paused": "1"}})

    await space.run(promote(space.keys, "1"))

    assert space.read() == {"1": job(), "wait": ["1"]}
