from __future__ import annotations

import pytest
from tests.integration.lua.keyspace import Keyspace

from oxcart._store.calls.switching import open_queue

OURS = "bullmq:oxcart-9.9.9"


@pytest.mark.parametrize(
    ("before", "length", "after"),
    [
        ({}, None, {"opts.maxLenEvents": "10000", "version": OURS}),
        ({}, 500, {"opts.maxLenEvents": "500", "version": OURS}),
        (
            {"opts.maxLenEvents": "77", "version": "bullmq:6.7.0"},
            None,
            {"opts.maxLenEvents": "77", "version": "bullmq:6.7.0"},
        ),
        (
            {"opts.maxLenEvents": "77", "version": "bullmq:oxcart-0.0.1"},
            500,
            {"opts.maxLenEvents": "500", "version": OURS},
        ),
        (
            {"version": "someone:bullmq:oxcart-1"},
            None,
            {"opts.maxLenEvents": "10000", "version": "someone:bullmq:oxcart-1"},
        ),
    ],
)
async def test_settings_are_written_where_they_are_missing_or_ours(
    space: Keyspace, before: dict[str, str], length: int | None, after: dict[str, str]
) -> None:
    space.write({"meta": {"paused": "1", **before}})

    await space.run(open_queue(space.keys, version=OURS, events_length=length))

    assert space.read(without="") == {"meta": {"paused": "1", **after}}
