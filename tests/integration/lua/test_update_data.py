from __future__ import annotations

from tests.integration.lua.keyspace import Keyspace, job

from oxcart._store.calls.details import update_data


async def test_data_is_replaced_without_an_event(space: Keyspace) -> None:
    space.write({"1": job(data='{"a":1}')})

    assert await space.run(update_data(space.keys, "1", b'{"b":2}')) == 0

    assert space.read(without="") == {"1": job(data='{"b":2}')}


async def test_job_that_is_gone_is_not_made_again(space: Keyspace) -> None:
    assert await space.run(update_data(space.keys, "1", b"{}")) == -1

    assert space.read(without="") == {}
