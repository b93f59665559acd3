from __future__ import annotations

import pytest
from tests.integration.lua.keyspace import Keyspace, Table

from oxcart._store.calls.limits import release_deduplication_id


@pytest.mark.parametrize(
    ("before", "after", "was_freed"),
    [
        ({"de:d": "1"}, {}, True),
        ({"de:d": "2"}, {"de:d": "2"}, False),
        ({}, {}, False),
    ],
)
async def test_only_the_holder_frees_the_id(
    space: Keyspace, before: Table, after: Table, was_freed: bool
) -> None:
    space.write(before)

    assert await space.run(release_deduplication_id(space.keys, "d", "1")) is was_freed

    assert space.read(without="") == after
