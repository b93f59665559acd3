from __future__ import annotations

from datetime import UTC, datetime

import pytest
from tests.integration.lua.keyspace import NOW, STEP, Keyspace, job

from oxcart._model.duration import Duration
from oxcart._store.calls.moving import change_delay


@pytest.mark.parametrize(
    ("delay", "ms"),
    [
        ("5s", 5_000),
        ("0s", 0),
        (datetime.fromtimestamp(NOW / 1_000 + 60, UTC), 60_000),
        (datetime.fromtimestamp(NOW / 1_000 - 60, UTC), 0),
    ],
)
async def test_job_is_due_that_long_from_now(
    space: Keyspace, delay: Duration | datetime, ms: int
) -> None:
    space.write({"1": job(delay="90"), "delayed": {"1": (NOW + 90) * STEP}, "marker": {"1": 7}})

    assert await space.run(change_delay(space.keys, "1", delay, clock=space.clock)) == 0

    assert space.read() == {
        "1": job(delay=str(ms)), "delayed": {"1": (NOW + ms) * STEP}, "marker": {"1": NOW + ms},
    }  # fmt: skip
    assert space.events() == [("delayed", "1", str(NOW + ms))]


async def test_marker_is_of_whatever_is_due_first(space: Keyspace) -> None:
    delayed = {"1": (NOW + 1) * STEP, "2": (NOW + 500) * STEP}
    space.write({"1": job(), "2": job(), "delayed": delayed})

    await space.run(change_delay(space.keys, "1", "900ms", clock=space.clock))

    assert space.read()["marker"] == {"1": NOW + 500}


async def test_job_that_is_not_delayed_stays(space: Keyspace) -> None:
    before = {"1": job(), "wait": ["1"]}
    space.write(before)

    assert await space.run(change_delay(space.keys, "1", "5s", clock=space.clock)) == -3

    assert space.read(without="") == before


async def test_job_that_is_gone_is_told(space: Keyspace) -> None:
    assert await space.run(change_delay(space.keys, "1", "5s", clock=space.clock)) == -1

    assert space.read(without="") == {}
