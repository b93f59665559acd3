from __future__ import annotations

import pytest
from tests.integration.lua.keyspace import NOW, STEP, Keyspace, Table

from oxcart._store.calls.switching import resume


@pytest.mark.parametrize(
    ("before", "marker"),
    [
        ({}, None),
        ({"wait": ["1"]}, {"0": 0}),
        ({"prioritized": {"1": 1.0}}, {"0": 0}),
        ({"paused": ["1"]}, {"0": 0}),
        ({"delayed": {"1": (NOW + 7) * STEP}}, {"1": NOW + 7}),
        ({"delayed": {"1": (NOW + 7) * STEP}, "wait": ["2"]}, {"0": 0}),
    ],
)
async def test_marker_says_what_there_is_to_do(
    space: Keyspace, before: Table, marker: dict[str, float] | None
) -> None:
    space.write(before | {"meta": {"paused": "1", "concurrency": "5"}})

    has_more = await space.run(resume(space.keys, is_first=True))

    found = space.read(without="events")
    assert (has_more, found["meta"], found.get("marker")) == (False, {"concurrency": "5"}, marker)
    assert space.events() == [("resumed",)]


async def test_jobs_set_aside_become_the_waiting_ones_in_one_move(space: Keyspace) -> None:
    ids = [str(number) for number in range(9_000)]
    space.write({"paused": ids, "meta": {"paused": "1"}})

    assert not await space.run(resume(space.keys, is_first=True))

    assert space.read() == {"wait": ids, "marker": {"0": 0}}


async def test_more_than_seven_thousand_set_aside_come_back_in_several_calls(
    space: Keyspace,
) -> None:
    """To the end that is taken first: they are the older ones."""
    aside = [f"old{number}" for number in range(15_000)]
    space.write({"paused": aside, "wait": ["new2", "new1"], "meta": {"paused": "1"}})

    answers, sizes = [], []
    for is_first in (True, False, False):
        answers.append(await space.run(resume(space.keys, is_first=is_first)))
        sizes.append(space.client.llen(space.keys.paused))

    assert (answers, sizes) == ([True, True, False], [8_000, 1_000, 0])
    assert space.read()["wait"] == ["new2", "new1", *aside]
    assert space.events() == [("resumed",)]
