from __future__ import annotations

import pytest
from tests.integration.lua.keyspace import NOW, PRIORITY, STEP, Keyspace, Table, job
from tests.integration.lua.steps import TOKEN, active, ids_of, run_job, send

from oxcart._store.calls.holding import take_cancel_requests
from oxcart._store.calls.moving import cancel


@pytest.mark.parametrize(
    ("place", "previous"),
    [
        ({"wait": ["1", "0"]}, None),
        ({"wait": ["0"], "prioritized": {"1": PRIORITY + 1}}, None),
        ({"wait": ["0"], "delayed": {"1": (NOW + 500) * STEP}}, "delayed"),
        ({"wait": ["0"], "waiting-children": {"1": NOW}}, "waiting-children"),
    ],
)
async def test_job_that_does_not_run_is_next_and_fails_unrun(
    space: Keyspace, place: Table, previous: str | None
) -> None:
    space.write(place | {"1": job(delay="500"), "0": job()})

    assert await space.run(cancel(space.keys, "1", "why")) == 0

    assert space.read() == {
        "wait": ["0", "1"], "0": job(), "1": job(defa="why"), "marker": {"0": 0},
    }  # fmt: skip
    assert space.events() == ([("waiting", "1", previous)] if previous else [])
    reply = await send(space, take=1)
    assert ids_of(reply) == ["1"]
    assert reply.taken[0].fields[b"defa"] == b"why"


async def test_running_job_is_noted_for_its_worker_for_a_time(space: Keyspace) -> None:
    """Should its worker be gone, or its handler be retried, the next worker fails it."""
    before = active("1")
    space.write(before)

    assert await space.run(cancel(space.keys, "1", "why")) == 1

    assert space.read() == before | {"1": before["1"] | {"defa": "why"}}
    assert 0 < space.ttl_ms("oxcart:cancel-requests") <= 3_600_000
    assert await space.run(take_cancel_requests(space.keys, [("1", TOKEN)])) == {"1": "why"}


async def test_running_job_whose_lock_is_gone_has_no_worker_to_be_told(space: Keyspace) -> None:
    space.write({"1": run_job(), "active": ["1"]})

    assert await space.run(cancel(space.keys, "1", "why")) == 1

    assert space.read() == {"1": run_job(defa="why"), "active": ["1"]}
    assert not space.client.exists(f"{space.keys.base}oxcart:cancel-requests")


@pytest.mark.parametrize("state", ["completed", "failed"])
async def test_finished_job_stays(space: Keyspace, state: str) -> None:
    before = {state: {"1": 5.0}, "1": job()}
    space.write(before)

    assert await space.run(cancel(space.keys, "1", "why")) == -3

    assert space.read(without="") == before


async def test_job_that_is_gone_is_told(space: Keyspace) -> None:
    assert await space.run(cancel(space.keys, "1", "why")) == -1

    assert space.read(without="") == {}


async def test_job_of_a_paused_queue_wakes_nobody(space: Keyspace) -> None:
    space.write({"delayed": {"1": NOW * STEP}, "1": job(), "meta": {"paused": "1"}})

    assert await space.run(cancel(space.keys, "1", "why")) == 0

    assert "marker" not in space.read()
