from __future__ import annotations

from tests.integration.lua.keyspace import Keyspace, job

from oxcart._store.calls.holding import extend_locks


async def test_locks_are_renewed_where_they_are_ours_and_the_others_told(space: Keyspace) -> None:
    locks = {"mine:lock": "a", "other:lock": "b", "mine2:lock": "c"}
    space.write(locks | {"stalled": {"mine", "other", "gone", "unasked"}})
    asked = [("mine", "a"), ("other", "wrong"), ("gone", "a"), ("mine2", "c")]

    lost = await space.run(extend_locks(space.keys, asked, lock_ms=20_000))

    assert lost == ["other", "gone"]
    assert space.read() == locks | {"stalled": {"other", "gone", "unasked"}}
    assert 0 < space.ttl_ms("mine:lock") <= 20_000
    assert 0 < space.ttl_ms("mine2:lock") <= 20_000
    assert space.ttl_ms("other:lock") == -1


async def test_no_locks_are_no_trouble(space: Keyspace) -> None:
    assert await space.run(extend_locks(space.keys, [], lock_ms=1_000)) == []


async def test_lock_of_another_type_is_lost_and_the_others_are_renewed(space: Keyspace) -> None:
    space.write({"1:lock": ["not", "a", "lock"], "2:lock": "b"})

    lost = await space.run(extend_locks(space.keys, [("1", "a"), ("2", "b")], lock_ms=9_000))

    assert lost == ["1"]
    assert space.ttl_ms("2:lock") > 0


async def test_renewing_twice_is_the_same(space: Keyspace) -> None:
    space.write({"1:lock": "a", "1": job()})
    call = extend_locks(space.keys, [("1", "a")], lock_ms=9_000)

    assert [await space.run(call), await space.run(call)] == [[], []]
