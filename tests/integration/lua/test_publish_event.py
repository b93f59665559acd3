from __future__ import annotations

import pytest
from tests.integration.lua.keyspace import Keyspace, Table

from oxcart._store.calls.watching import publish_event


async def test_event_stands_in_the_stream_with_its_fields(space: Keyspace) -> None:
    event_id = await space.run(publish_event(space.keys, "mine", {"jobId": "1", "note": "å"}))

    assert space.events() == [("mine", "1", "å")]
    entries: list[tuple[bytes, object]] = space.client.xrange(space.keys.events)  # type: ignore[assignment]
    assert [entry_id.decode() for entry_id, _ in entries] == [event_id]


async def test_stream_keeps_its_own_length(space: Keyspace) -> None:
    """BullMQ cuts the whole stream down to 1,000 entries here."""
    pipeline = space.client.pipeline()
    for number in range(1_500):
        pipeline.xadd(space.keys.events, {"event": "e", "n": number})
    pipeline.execute()

    await space.run(publish_event(space.keys, "mine", {"a": "b"}))

    assert len(space.events()) == 1_501


@pytest.mark.parametrize("meta", [{"opts.maxLenEvents": "50"}])
async def test_stream_is_trimmed_to_the_queues_length(space: Keyspace, meta: Table) -> None:
    space.write({"meta": meta})
    pipeline = space.client.pipeline()
    for number in range(1_500):
        pipeline.xadd(space.keys.events, {"event": "e", "n": number})
    pipeline.execute()

    await space.run(publish_event(space.keys, "mine", {"a": "b"}))

    assert len(space.events()) < 200  # whole nodes of the stream go
