from __future__ import annotations

from tests.integration.lua.keyspace import Keyspace
from tests.integration.lua.steps import active

from oxcart._store.calls.holding import take_cancel_requests
from oxcart._store.calls.moving import cancel


async def test_each_request_is_answered_once_and_only_to_who_runs_the_job(space: Keyspace) -> None:
    space.write(active("1", "2", "3"))
    for job_id in ("1", "2"):
        await space.run(cancel(space.keys, job_id, f"why {job_id}"))

    taken = [
        await space.run(take_cancel_requests(space.keys, job_ids))
        for job_ids in (["1", "3"], ["1", "3"], ["2"])
    ]

    assert taken == [{"1": "why 1"}, {}, {"2": "why 2"}]
    assert not space.client.exists(f"{space.keys.base}oxcart:cancel-requests")


async def test_without_requests_nothing_is_answered(space: Keyspace) -> None:
    assert await space.run(take_cancel_requests(space.keys, ["1", "2"])) == {}

    assert space.read(without="") == {}
