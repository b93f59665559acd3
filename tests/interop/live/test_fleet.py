"""A mixed fleet: workers of both kinds share a queue, and die in the middle of it."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
import redis
from tests.interop.live.fleet import CONCURRENCY, Fleet, Looker
from tests.interop.live.node_side import NodeSide
from tests.interop.live.oxcart_side import OxcartSide
from tests.interop.live.waiting import wait_for
from tests.support import wait_until

from oxcart import JobCounts, JobSpec, Queue

COUNT, BATCH = 20_000, 500
EVENTS_KEPT = 400_000
"""More than the jobs have events, so that each can be counted."""


@asynccontextmanager
async def adding(queue: Queue, node: NodeSide, count: int) -> AsyncIterator[None]:
    """Add jobs from both sides at the same time, half from each, while the body runs."""

    async def by_oxcart() -> None:
        for _ in range(0, count // 2, BATCH):
            await queue.add_many([JobSpec(name="who", data={"ms": 5})] * BATCH)

    async def by_node() -> None:
        for _ in range(0, count // 2, BATCH):
            await node.queue().call("addBulk", [{"name": "who", "data": {"ms": 5}}] * BATCH)

    async with asyncio.TaskGroup() as group:
        group.create_task(by_oxcart())
        group.create_task(by_node())
        yield


@pytest.fixture
async def fleet(
    start_node: Callable[[int], NodeSide], major: int, oxcart_side: OxcartSide
) -> Fleet:
    """Worker processes, killed at the end."""
    return Fleet(major, start_node, oxcart_side)


@pytest.fixture
def looker(valkey: redis.Redis, prefix: str) -> Looker:
    """Looks at the queue from outside."""
    return Looker(valkey, prefix, "q")


@pytest.mark.timeout(300)
async def test_fleet_of_both_kinds_completes_each_job_once_though_workers_are_killed(
    fleet: Fleet, node: NodeSide, looker: Looker
) -> None:
    queue = await fleet.oxcart_side.queue(events_length=EVENTS_KEPT)

    others = await fleet.start_pair(looker)
    doomed = await fleet.start_pair(looker)
    async with adding(queue, node, COUNT // 2):
        await wait_until(
            lambda: are_in_the_middle(looker, {*doomed, *others}),
            within=60,
            what="all workers to be in the middle of it",
        )
        for name in doomed:
            fleet.kill(name)
    replacements = await fleet.start_pair(looker)
    async with adding(queue, node, COUNT // 2):
        pass
    await wait_for(
        queue.get_counts,
        lambda now: now.completed == COUNT,
        within=120,
        what=f"{COUNT} jobs to complete",
    )

    by_worker, runs = looker.runs()
    ids = [str(number) for number in range(1, COUNT + 1)]
    assert {*doomed, *others, *replacements} == set(by_worker)
    assert runs - COUNT <= 2 * CONCURRENCY
    assert dict.fromkeys(ids, "completed") == looker.states()
    assert Counter(ids) == looker.announced("completed")
    assert Counter() == looker.announced("failed")
    assert looker.announced("stalled"), "the workers were killed when they ran nothing"
    assert JobCounts(completed=COUNT) == await queue.get_counts()
    assert COUNT == await node.queue().call("getCompletedCount")


def are_in_the_middle(looker: Looker, names: set[str]) -> bool:
    """Whether each of the workers has run jobs, and an eighth of all is done."""
    return looker.completed_count() >= COUNT // 8 and set(looker.runs()[0]) == names
