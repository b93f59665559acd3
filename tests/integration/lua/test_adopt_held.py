from __future__ import annotations

from tests.integration.lua.keyspace import Keyspace, job

from oxcart._store.calls.holding import Ran, adopt_held

REASON = "job stalled more than allowable limit: the process that ran it alone died %d times"


async def adopt(space: Keyspace, *holds: tuple[str, str], how: Ran = "beside") -> list[str]:
    adopted: list[str] = await space.run(
        adopt_held(
            space.keys, holds, token="new:1", lock_ms=20_000, max_stalled=1, how=how,
            reason=REASON,
        )
    )  # fmt: skip
    return adopted


async def test_job_stays_active_under_the_new_lock_and_counts_nothing(space: Keyspace) -> None:
    space.write({"active": ["2", "1"], "stalled": {"1", "2"}})
    space.write({"1": job(), "1:lock": "old:1", "2": job(), "2:lock": "other:1"})

    assert ["1"] == await adopt(space, ("1", "old:1"), ("2", "old:1"))

    assert space.read() == {
        "active": ["2", "1"], "stalled": {"2"}, "1": job(), "1:lock": "new:1", "2": job(),
        "2:lock": "other:1",
    }  # fmt: skip
    assert 10_000 < space.ttl_ms("1:lock") <= 20_000
    assert [("waiting", "1", "active"), ("stalled", "1")] == space.events()


async def test_job_that_died_alone_counts_and_goes_back_at_the_limit(space: Keyspace) -> None:
    """The next worker that takes it fails it for the reason given."""
    space.write({"active": ["1"], "wait": ["3"], "1": job(), "1:lock": "old:1"})

    assert ["1"] == await adopt(space, ("1", "old:1"), how="alone")
    first = space.read()
    assert [] == await adopt(space, ("1", "new:1"), how="alone")

    assert job(stc="1", **{"ox:alone": "1"}) == first["1"]
    reason = "job stalled more than allowable limit: the process that ran it alone died 2 times"
    assert space.read() == {
        "wait": ["3", "1"], "marker": {"0": 0}, "1": job(stc="2", defa=reason, **{"ox:alone": "1"}),
    }  # fmt: skip


async def test_lock_without_a_readable_job_is_left_to_the_stalled_check(space: Keyspace) -> None:
    before = {"active": ["2", "1"], "1:lock": "old:1", "2:lock": "old:1", "2": "a string"}
    space.write(before)

    assert [] == await adopt(space, ("1", "old:1"), ("2", "old:1"))

    assert before == space.read()
