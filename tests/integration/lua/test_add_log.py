from __future__ import annotations

import pytest
from tests.integration.lua.keyspace import Keyspace, job

from oxcart._store.calls.details import add_log, clear_logs


@pytest.mark.parametrize(
    ("keep", "count", "rows"),
    [
        (None, 3, ["a", "b", "new"]),
        (5, 3, ["a", "b", "new"]),
        (2, 2, ["b", "new"]),
        (1, 1, ["new"]),
        (0, 0, None),
    ],
)
async def test_row_is_appended_and_the_last_ones_kept(
    space: Keyspace, keep: int | None, count: int, rows: list[str] | None
) -> None:
    space.write({"1": job(), "1:logs": ["a", "b"]})

    assert await space.run(add_log(space.keys, "1", "new", keep=keep)) == count

    assert space.read().get("1:logs") == rows


async def test_job_that_is_gone_gets_no_log(space: Keyspace) -> None:
    assert await space.run(add_log(space.keys, "1", "row", keep=None)) == -1

    assert space.read(without="") == {}


async def test_half_a_surrogate_pair_is_replaced(space: Keyspace) -> None:
    space.write({"1": job()})

    await space.run(add_log(space.keys, "1", "a\ud800b", keep=None))

    assert space.read()["1:logs"] == ["a?b"]


@pytest.mark.parametrize(
    ("keep", "rows"), [(0, None), (1, ["c"]), (2, ["b", "c"]), (9, list("abc"))]
)
async def test_clearing_keeps_the_last_rows(
    space: Keyspace, keep: int, rows: list[str] | None
) -> None:
    space.write({"1:logs": ["a", "b", "c"]})

    await space.run(clear_logs(space.keys, "1", keep=keep))

    assert space.read().get("1:logs") == rows
