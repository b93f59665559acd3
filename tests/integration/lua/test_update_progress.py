from __future__ import annotations

from tests.integration.lua.keyspace import Keyspace, job

from oxcart._store.calls.details import update_progress


async def test_progress_is_kept_and_told(space: Keyspace) -> None:
    space.write({"1": job()})

    assert await space.run(update_progress(space.keys, "1", b'{"done":1}')) == 0

    assert space.read() == {"1": job(progress='{"done":1}')}
    assert space.events() == [("progress", "1", '{"done":1}')]


async def test_job_that_is_gone_is_not_made_again(space: Keyspace) -> None:
    assert await space.run(update_progress(space.keys, "1", b"1")) == -1

    assert space.read(without="") == {}
