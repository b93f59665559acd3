"""Workers outlive a fail-over, and a node of a cluster that is restarted or gives a slot away."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from tests.integration.engine.running import all_ended, running, until
from tests.support import SentinelTrio, ValkeyCluster, ValkeyServer, wait_until, wait_until_sync

from oxcart import App, JobContext, JobSpec, Queue, QueueEvents, Worker, sync
from oxcart._store.call import command
from oxcart.errors import StoreUnavailable

NAME = "work"
COUNT = 60
OPTIONS: dict[str, Any] = {"concurrency": 4, "lock": "10s", "stalled_interval": "1s"}


class Held:
    """A handler whose first jobs are held back until they are released."""

    def __init__(self) -> None:
        self.started: list[Any] = []
        self.done: set[Any] = set()
        self.release = asyncio.Event()

    async def __call__(self, job: JobContext) -> object:
        self.started.append(job.data)
        await self.release.wait()
        self.done.add(job.data)
        return job.data

    def has_started(self) -> bool:
        return bool(self.started)


async def add_numbers(queue: Queue, count: int = COUNT) -> None:
    await queue.add_many([JobSpec(name="n", data=number) for number in range(count)])


async def test_a_worker_goes_on_with_the_new_master(own_trio: SentinelTrio, prefix: str) -> None:
    """What the old master acknowledged and passed on is run, and new jobs are too."""
    handle = Held()
    worker = Worker(NAME, handle, redis_url=own_trio.url, prefix=prefix, **OPTIONS)
    async with App(own_trio.url, prefix=prefix) as app, running(worker):
        queue, sync_queue = app.queue(NAME), app.sync_queue(NAME)
        await add_numbers(queue)
        await asyncio.to_thread(sync_queue.add, "n", "blocking")
        await wait_until(handle.has_started, what="the first jobs")
        await asyncio.to_thread(own_trio.wait_until_replicated)

        own_trio.master.kill()
        with pytest.raises(StoreUnavailable):
            await queue.add("n", "while there is none")
        await asyncio.to_thread(wait_until_sync, own_trio.is_over, within=20, what="the fail-over")
        handle.release.set()
        await until(lambda: _can_add(queue, "after"), within=20, what="the new master")
        await until(lambda: _can_block(sync_queue, "blocking, after"), what="the new master")
        await all_ended(queue, within=30)
        counts = await queue.get_counts()

    assert {*range(COUNT), "blocking", "after", "blocking, after"} == handle.done
    assert (COUNT + 3, 0) == (counts.completed, counts.failed)


async def test_events_go_on_after_a_fail_over(own_trio: SentinelTrio, prefix: str) -> None:
    events = QueueEvents(NAME, redis_url=own_trio.url, prefix=prefix)
    seen: set[str | None] = set()

    async def follow() -> None:
        async for event in events:
            seen.add(event.job_id)

    async with App(own_trio.url, prefix=prefix) as app, asyncio.TaskGroup() as group:
        queue = app.queue(NAME)
        await events.open()
        following = group.create_task(follow())
        before = await queue.add("n")
        await wait_until(lambda: before.id in seen, what="the first event")
        await asyncio.to_thread(own_trio.wait_until_replicated)

        own_trio.master.kill()
        await asyncio.to_thread(wait_until_sync, own_trio.is_over, within=20, what="the fail-over")
        await until(lambda: _can_add(queue, "after"), within=20, what="the new master")
        after = await queue.add("n")
        await wait_until(lambda: after.id in seen, within=20, what="the event after")
        following.cancel()


async def test_a_worker_waits_for_a_node_that_is_restarted(
    own_cluster: ValkeyCluster, prefix: str
) -> None:
    tagged = f"{{{prefix}}}"
    handle = Held()
    worker = Worker(NAME, handle, redis_url=own_cluster.url, prefix=tagged, **OPTIONS)
    async with App(own_cluster.url, prefix=tagged) as app, running(worker):
        queue = app.queue(NAME)
        await add_numbers(queue)
        await wait_until(handle.has_started, what="the first jobs")
        owner = own_cluster.owner_of(tagged)

        owner.kill()
        with pytest.raises(StoreUnavailable):
            await queue.add("n", "while it is away")
        handle.release.set()
        await asyncio.to_thread(owner.start)
        await asyncio.to_thread(own_cluster.wait_until_whole)
        await until(lambda: _can_add(queue, "after"), within=20, what="the node")
        await all_ended(queue, within=30)
        counts = await queue.get_counts()

    assert {*range(COUNT), "after"} == handle.done
    assert (COUNT + 1, 0) == (counts.completed, counts.failed)


async def test_a_worker_follows_its_queue_to_another_node(
    own_cluster: ValkeyCluster, prefix: str
) -> None:
    tagged = f"{{{prefix}}}"
    handle = Held()
    handle.release.set()
    worker = Worker(NAME, handle, redis_url=own_cluster.url, prefix=tagged, **OPTIONS)
    async with App(own_cluster.url, prefix=tagged) as app, running(worker):
        queue, sync_queue = app.queue(NAME), app.sync_queue(NAME)
        await (await queue.add("n", "before")).result("10s")
        await asyncio.to_thread(sync_queue.add, "n", "blocking")
        await until(lambda: _is_blocked(app, queue), what="the worker to wait")

        taker = await asyncio.to_thread(own_cluster.move_slot, tagged)
        await (await queue.add("n", "after")).result("10s")
        await asyncio.to_thread(sync_queue.add, "n", "blocking, after")
        await all_ended(queue)
        await until(lambda: _is_named_at(taker, queue), what="the worker's connection to move")

    assert {"before", "blocking", "after", "blocking, after"} == handle.done


async def _can_add(queue: Queue, data: str) -> bool:
    try:
        await queue.add("n", data, job_id="once")
    except StoreUnavailable:
        return False
    return True


async def _can_block(queue: sync.Queue, data: str) -> bool:
    try:
        await asyncio.to_thread(queue.add, "n", data, job_id="once-more")
    except StoreUnavailable:
        return False
    return True


async def _is_blocked(app: App, queue: Queue) -> bool:
    listing = command(("CLIENT", "LIST"), bytes.decode)
    name = f"name={queue._keys.worker_connection_name(None)}"
    rows = "".join(await app._store.run_everywhere(listing)).splitlines()
    return any(name in row and "cmd=bzpopmin" in row for row in rows)


async def _is_named_at(node: ValkeyServer, queue: Queue) -> bool:
    name = f"name={queue._keys.worker_connection_name(None)}"
    rows: bytes = await asyncio.to_thread(node.command, "CLIENT", "LIST")
    return name in rows.decode()
