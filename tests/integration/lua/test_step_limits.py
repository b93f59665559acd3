"""Rate limits in a worker's step (wire format, sections 7.4 and 7.13)."""

from __future__ import annotations

import pytest
from tests.integration.lua.keyspace import PRIORITY, Keyspace, Table, job
from tests.integration.lua.steps import active, end, ids_of, run_job

from oxcart import RateLimit
from oxcart._model.outcome import RateLimited
from oxcart._store.calls.limits import MANUAL_LIMIT, limit_manually
from oxcart._store.calls.stepping import EndedRun, StepReply, TakeRequest, step

WAITING: Table = {"wait": ["4", "3", "2", "1"], **{job_id: job() for job_id in "1234"}}
META: Table = {"meta": {"max": "2", "duration": "60000"}}


async def take(
    space: Keyspace, count: int, *runs: EndedRun, limit: RateLimit | None = None
) -> StepReply:
    """A step of a worker that may have a limit of its own."""
    request = TakeRequest(count=count, token="tok", lock_ms=30_000, limit=limit)
    call = step(space.keys, runs, request, clock=space.clock, worker_id="w", sequence=0)
    reply: StepReply = await space.run(call)
    return reply


async def test_queues_limit_admits_so_many_a_window(space: Keyspace) -> None:
    space.write(WAITING | META)

    first = await take(space, 3)
    second = await take(space, 3)

    assert (ids_of(first), ids_of(second)) == (["1", "2"], [])
    assert 0 < second.limited_ms <= 60_000
    assert space.read()["limiter"] == "2"
    assert 0 < space.ttl_ms("limiter") <= 60_000


async def test_window_that_is_over_admits_again(space: Keyspace) -> None:
    space.write(WAITING | META)
    await take(space, 2)
    space.client.delete(space.keys.limiter)

    assert ids_of(await take(space, 1)) == ["3"]


async def test_workers_own_limit_counts_too(space: Keyspace) -> None:
    space.write(WAITING)

    reply = await take(space, 4, limit=RateLimit(max=3, per="1m"))

    assert ids_of(reply) == ["1", "2", "3"]


async def test_queues_maximum_and_the_workers_window_win(space: Keyspace) -> None:
    space.write(WAITING | META)

    reply = await take(space, 4, limit=RateLimit(max=3, per="1h"))

    assert ids_of(reply) == ["1", "2"]
    assert space.ttl_ms("limiter") > 60_000


@pytest.mark.parametrize("meta", [{"max": "2"}, {"duration": "60000"}])
async def test_half_a_limit_is_none(space: Keyspace, meta: Table) -> None:
    space.write(WAITING | {"meta": meta})

    assert len((await take(space, 4)).taken) == 4
    assert "limiter" not in space.read()


async def test_job_that_is_only_failed_is_not_counted(space: Keyspace) -> None:
    space.write(WAITING | META | {"1": job(defa="why")})

    await take(space, 2)

    assert space.read()["limiter"] == "1"


async def test_counter_without_an_expiry_starts_anew(space: Keyspace) -> None:
    """Such a one is left by a worker that knows a maximum and no window: it would never end."""
    space.write(WAITING | META | {"limiter": "7"})

    assert ids_of(await take(space, 1)) == ["1"]
    assert space.read()["limiter"] == "1"


async def test_queue_held_back_gives_nothing_to_anybody(space: Keyspace) -> None:
    space.write(WAITING)
    await space.run(limit_manually(space.keys, 60_000))

    reply = await take(space, 4)

    assert reply.taken == ()
    assert 0 < reply.limited_ms <= 60_000


@pytest.mark.parametrize(
    ("priority", "place"),
    [
        ("0", {"wait": ["2", "1"], "marker": {"0": 0}}),
        ("3", {"wait": ["2"], "prioritized": {"1": 3 * PRIORITY}}),
    ],
)
async def test_job_that_met_a_limit_goes_back_and_the_queue_waits(
    space: Keyspace, priority: str, place: Table
) -> None:
    space.write(active("1", priority=priority) | {"wait": ["2"], "2": job()})

    reply = await take(space, 1, end("1", RateLimited(60_000)))

    assert reply.codes == (0,)
    assert reply.taken == ()
    assert 0 < reply.limited_ms <= 60_000
    assert space.read() == {
        "1": run_job(priority=priority), "2": job(), "limiter": str(MANUAL_LIMIT), **place,
    }  # fmt: skip
    assert space.events() == [("waiting", "1", "active")]


@pytest.mark.parametrize(("standing", "least"), [(30_000, 59_000), (600_000, 500_000)])
async def test_longer_limit_stays(space: Keyspace, standing: int, least: int) -> None:
    space.write(active("1"))
    await space.run(limit_manually(space.keys, standing))

    await take(space, 0, end("1", RateLimited(60_000)))

    assert space.ttl_ms("limiter") > least - 30_000
