from __future__ import annotations

from tests.integration.lua.keyspace import NOW, Keyspace, job

from oxcart._store.calls.unknown import count_unknown, forget_unknown

NOTES = {"ox:unknown": "{}", "ox:unrun": "3"}


async def test_note_goes_and_the_count_stays(space: Keyspace) -> None:
    space.write({"1": job(**NOTES), "oxcart:unknown-jobs": {"1": NOW, "2": NOW}})

    await space.run(forget_unknown(space.keys, "1"))

    assert space.read() == {"1": job(**{"ox:unrun": "3"})}
    assert await space.run(count_unknown(space.keys)) == 1


async def test_job_that_is_gone_is_not_made_again(space: Keyspace) -> None:
    await space.run(forget_unknown(space.keys, "1"))

    assert space.read() == {}
