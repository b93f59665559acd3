from __future__ import annotations

import pytest
from tests.integration.lua.keyspace import Keyspace, Table

from oxcart._store.calls.switching import pass_marker_on


@pytest.mark.parametrize(
    "jobs", [{"wait": ["a"]}, {"prioritized": {"a": 1.0}}, {"delayed": {"a": 1.0}}]
)
async def test_marker_is_put_back_while_there_are_jobs(space: Keyspace, jobs: Table) -> None:
    space.write(jobs)

    await space.run(pass_marker_on(space.keys))

    assert space.read() == {**jobs, "marker": {"0": 0.0}}


async def test_queue_without_jobs_gets_no_marker(space: Keyspace) -> None:
    await space.run(pass_marker_on(space.keys))

    assert space.read() == {}
