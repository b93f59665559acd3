from __future__ import annotations

from tests.integration.lua.keyspace import NOW, Keyspace, job

from oxcart._store.calls.holding import take_held
from oxcart._store.calls.stepping import TakenJob


async def take(space: Keyspace) -> TakenJob | None:
    call = take_held(
        space.keys, "1", "held:1", clock=space.clock, token="new:1", lock_ms=20_000,
        worker_name="w",
    )  # fmt: skip
    taken: TakenJob | None = await space.run(call)
    return taken


async def test_job_that_the_supervisor_holds_is_taken(space: Keyspace) -> None:
    space.write({"active": ["1"], "1": job(ats="2", **{"ox:alone": "1"}), "1:lock": "held:1"})

    taken = await take(space)

    assert taken is not None
    assert ("1", "new:1") == (taken.job_id, taken.token)
    assert (b"3", str(NOW).encode(), b"w") == tuple(
        taken.fields[name] for name in (b"ats", b"processedOn", b"pb")
    )
    assert space.read() == {
        "active": ["1"], "1:lock": "new:1", "1": job(ats="3", pb="w", processedOn=str(NOW)),
    }  # fmt: skip
    assert 10_000 < space.ttl_ms("1:lock") <= 20_000
    assert [("active", "1", "waiting")] == space.events()


async def test_job_under_another_lock_is_not(space: Keyspace) -> None:
    before = {"active": ["1"], "1": job(), "1:lock": "other:1"}
    space.write(before)

    assert await take(space) is None

    assert before == space.read()


async def test_lock_without_a_readable_job_is_not(space: Keyspace) -> None:
    space.write({"active": ["1"], "1:lock": "held:1"})

    assert await take(space) is None
