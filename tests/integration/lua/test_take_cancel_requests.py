from __future__ import annotations

from tests.integration.lua.keyspace import Keyspace
from tests.integration.lua.steps import TOKEN, active

from oxcart._store.calls.holding import take_cancel_requests
from oxcart._store.calls.moving import cancel


async def test_each_request_is_answered_once_and_only_to_who_runs_the_job(space: Keyspace) -> None:
    space.write(active("1", "2", "3"))
    for job_id in ("1", "2"):
        await space.run(cancel(space.keys, job_id, f"why {job_id}"))

    taken = [
        await space.run(take_cancel_requests(space.keys, [(job_id, TOKEN) for job_id in job_ids]))
        for job_ids in (["1", "3"], ["1", "3"], ["2"])
    ]

    assert taken == [{"1": "why 1"}, {}, {"2": "why 2"}]
    assert not space.client.exists(f"{space.keys.base}oxcart:cancel-requests")


async def test_request_for_another_run_of_the_job_concerns_nobody_here(space: Keyspace) -> None:
    """The worker that was told may be gone, and the job may have been put back and taken again."""
    space.write(active("1"))
    await space.run(cancel(space.keys, "1", "why"))

    later = await space.run(take_cancel_requests(space.keys, [("1", "a later token")]))

    assert later == {}
    assert await space.run(take_cancel_requests(space.keys, [("1", TOKEN)])) == {"1": "why"}


async def test_request_that_cannot_be_read_is_none(space: Keyspace) -> None:
    space.client.hset(f"{space.keys.base}oxcart:cancel-requests", "1", "garbage")

    assert await space.run(take_cancel_requests(space.keys, [("1", TOKEN)])) == {}


async def test_without_requests_nothing_is_answered(space: Keyspace) -> None:
    assert await space.run(take_cancel_requests(space.keys, [("1", "a"), ("2", "b")])) == {}

    assert space.read(without="") == {}
