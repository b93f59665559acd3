from __future__ import annotations

import pytest
from tests.integration.lua.keyspace import NOW, Keyspace

from oxcart._model.job import JobSpec
from oxcart._model.options import JobOptions
from oxcart._store.calls.adding import Added, AddStatus, add_job_before, encode_job


async def add(space: Keyspace, before_ms: int, job_id: str = "a") -> Added | int:
    spec = JobSpec(name="n", data={}, options=JobOptions(job_id=job_id))
    job = encode_job(spec, prefix=space.keys.prefix)
    call = add_job_before(space.keys, job, clock=space.clock, before_ms=before_ms)
    result: Added | int = await space.run(call)
    return result


@pytest.mark.parametrize("before_ms", [NOW, NOW + 1_000])
async def test_job_in_time_is_added_once(space: Keyspace, before_ms: int) -> None:
    added = await add(space, before_ms)
    again = await add(space, before_ms)

    assert added == Added(job_id="a", status=AddStatus.ADDED, added_at_ms=NOW)
    assert again == Added(job_id="a", status=AddStatus.EXISTS, added_at_ms=NOW)
    assert space.client.lrange(space.keys.wait, 0, -1) == [b"a"]


async def test_too_late_nothing_is_written(space: Keyspace) -> None:
    assert await add(space, NOW - 1) == NOW
    assert space.read() == {}
