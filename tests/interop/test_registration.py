"""A running oxcart worker is where BullMQ's ``getWorkers`` and Bull Board look for workers.

They list the server's connections by name (wire format, section 13): one a worker.
"""

from __future__ import annotations

from typing import Any

import pytest
import redis
from tests.interop.session import PREFIX, Session
from tests.interop.vectors import Step
from tests.support import wait_until

BASE64_OF_Q = "cQ=="


def start_of(name: str | None, concurrency: int) -> Step:
    worker = {"concurrency": concurrency} | ({"name": name} if name else {})
    return {
        "op": "startWorker", "queue": "q", "worker": worker, "processor": "never ends", "now": 1,
    }  # fmt: skip


def worker_names(client: redis.Redis) -> list[str]:
    """The names of connections that BullMQ takes for workers of the queue."""
    listed: Any = client.client_list()
    start = f"{PREFIX}:{BASE64_OF_Q}"
    return [
        entry["name"]
        for entry in listed
        if entry["name"] == start or entry["name"].startswith(f"{start}:w:")
    ]


async def test_idle_worker_is_registered_once(url: str, client: redis.Redis) -> None:
    async with Session(url, client) as session:
        await session.play(start_of("w1", 1))

        await wait_until(lambda: worker_names(client), what="the worker's connection")
        assert worker_names(client) == [f"{PREFIX}:{BASE64_OF_Q}:w:w1"]

    await wait_until(lambda: not worker_names(client), what="the connection to be closed")


async def test_worker_without_a_name_is_registered_by_its_host(
    url: str, client: redis.Redis
) -> None:
    async with Session(url, client) as session:
        await session.play(start_of(None, 1))

        await wait_until(lambda: worker_names(client), what="the worker's connection")
        (name,) = worker_names(client)
        assert name.startswith(f"{PREFIX}:{BASE64_OF_Q}:w:")
        assert " " not in name


async def test_worker_that_was_never_idle_is_registered(url: str, client: redis.Redis) -> None:
    async with Session(url, client) as session:
        await session.play({"op": "add", "queue": "q", "name": "n", "data": {}, "now": 1})
        await session.play(start_of("w1", 1))

        await wait_until(lambda: worker_names(client), within=1, what="the worker's connection")


@pytest.mark.parametrize(("concurrency", "job_count"), [(1, 3), (3, 2)])
async def test_started_worker_holds_what_it_can(
    concurrency: int, job_count: int, url: str, client: redis.Redis
) -> None:
    async with Session(url, client) as session:
        jobs = [{"name": "n"}] * job_count
        await session.play({"op": "addBulk", "queue": "q", "jobs": jobs, "now": 1})
        await session.play(start_of("w1", concurrency))

        held: Any = client.lrange(f"{PREFIX}:q:active", 0, -1)
        assert len(held) == min(concurrency, job_count)
        assert all(client.exists(f"{PREFIX}:q:{job_id.decode()}:lock") for job_id in held)

    # Stopped by force: what it held is back, nothing is locked.
    assert client.llen(f"{PREFIX}:q:wait") == job_count
    assert not client.keys(f"{PREFIX}:q:*:lock")
