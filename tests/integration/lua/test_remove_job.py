from __future__ import annotations

import pytest
from tests.integration.lua.keyspace import NOW, Keyspace, Table, job

from oxcart._store.calls.moving import remove


@pytest.fixture(params=[False, True])
def with_children(request: pytest.FixtureRequest) -> bool:
    """Whether descendants go too; a job without any is removed the same way."""
    return bool(request.param)


PARTS: Table = {
    "1": job(), "1:logs": ["row"], "1:dependencies": {"a"}, "1:processed": {"a": "1"},
    "1:failed": {"a": "x"}, "1:unsuccessful": {"a": 1.0},
}  # fmt: skip


@pytest.mark.parametrize("state", ["wait", "paused", "active"])
async def test_job_leaves_its_list_with_all_its_keys(
    space: Keyspace, with_children: bool, state: str
) -> None:
    space.write(PARTS | {state: ["0", "1", "2"]})

    assert await space.run(remove(space.keys, "1", with_children=with_children)) == 1

    assert space.read() == {state: ["0", "2"]}
    assert space.events() == [("removed", "1", state)]


@pytest.mark.parametrize(
    "state", ["completed", "failed", "delayed", "prioritized", "waiting-children"]
)
async def test_job_leaves_its_set_with_all_its_keys(
    space: Keyspace, with_children: bool, state: str
) -> None:
    space.write(PARTS | {state: {"1": 5.0, "2": 6.0}})

    assert await space.run(remove(space.keys, "1", with_children=with_children)) == 1

    assert space.read() == {state: {"2": 6.0}}
    assert space.events() == [("removed", "1", state)]


async def test_job_in_no_state_is_removed_too(space: Keyspace, with_children: bool) -> None:
    space.write(PARTS)

    assert await space.run(remove(space.keys, "1", with_children=with_children)) == 1

    assert space.read() == {}
    assert space.events() == [("removed", "1", "unknown")]


async def test_locked_job_stays(space: Keyspace, with_children: bool) -> None:
    before = {"1": job(), "1:lock": "tok", "active": ["1"]}
    space.write(before)

    assert await space.run(remove(space.keys, "1", with_children=with_children)) == 0

    assert space.read() == before


async def test_unknown_job_is_no_error_and_no_event(space: Keyspace, with_children: bool) -> None:
    assert await space.run(remove(space.keys, "1", with_children=with_children)) == 1

    assert space.read(without="") == {}


async def test_id_without_a_hash_leaves_its_list(space: Keyspace, with_children: bool) -> None:
    space.write({"wait": ["1", "2"]})

    assert await space.run(remove(space.keys, "1", with_children=with_children)) == 1

    assert space.read() == {"wait": ["2"]}
    assert space.events() == []


async def test_key_of_another_type_under_a_jobs_name_is_removed(
    space: Keyspace, with_children: bool
) -> None:
    space.write({"wait": ["1"], "1": "a string"})

    assert await space.run(remove(space.keys, "1", with_children=with_children)) == 1

    assert space.read() == {}


@pytest.mark.parametrize(("due", "code"), [(NOW, -8), (NOW + 1, 1)])
async def test_only_the_pending_job_of_a_scheduler_is_protected(
    space: Keyspace, with_children: bool, due: int, code: int
) -> None:
    job_id = f"repeat:s:{NOW}"
    space.write({job_id: job(rjk="s"), "wait": [job_id], "repeat": {"s": float(due)}})

    assert await space.run(remove(space.keys, job_id, with_children=with_children)) == code

    assert (job_id in space.read()) is (code == -8)
