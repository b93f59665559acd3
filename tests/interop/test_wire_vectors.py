"""oxcart leaves in the server what Node BullMQ leaves there, step by step and to the digit."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from tests.interop.compare import differences, event_differences, matches
from tests.interop.replay import PREFIX, Replay, supports_options, unsupported_options
from tests.interop.vectors import FOLDER, Step, Vector, load_all
from tests.support import wait_until

from oxcart import JobContext, Worker

DATABASE = 9
NOT_YET = {
    line
    for line in (Path(__file__).parent / "not_yet.txt").read_text(encoding="utf-8").splitlines()
    if line and not line.startswith("#")
}
VECTORS = load_all()


@pytest.fixture
def url(valkey_url: str) -> str:
    """A database of their own: the vectors' prefix is the default one."""
    return valkey_url.removesuffix("/0") + f"/{DATABASE}"


@pytest.fixture
def client(url: str) -> Iterator[redis.Redis]:
    client = redis.Redis.from_url(url)
    client.flushdb()
    yield client
    client.flushdb()
    client.close()


def test_the_vectors_are_there() -> None:
    if not VECTORS and not os.environ.get("CI"):
        pytest.skip(f"no wire vectors in {FOLDER}; set OXCART_WIRE_VECTORS to their folder")
    assert VECTORS, f"no wire vectors in {FOLDER}"


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector.name)
async def test_vector(vector: Vector, url: str, client: redis.Redis) -> None:
    missing = _missing(vector)
    if missing:
        pytest.skip(f"not yet: {', '.join(sorted(missing))}")

    replay = Replay(url, client)
    try:
        found = await _replay(replay, vector)
    finally:
        await replay.aclose()

    assert [] == found


@pytest.mark.parametrize("operation", sorted(NOT_YET))
def test_the_not_yet_list_holds_nothing_that_is_there(operation: str) -> None:
    name = operation.removeprefix("option:")
    step: Step = {"op": "add", "opts": {name: 1}, "worker": {name: 1}}
    is_there = supports_options(step) if name != operation else Replay.supports(operation)

    assert not is_there, f"{operation} is supported: take it out of not_yet.txt"


async def test_an_id_without_a_hash_leaves_the_queue(url: str, client: redis.Redis) -> None:
    """What vector 043 shows of BullMQ, it takes a job that is not there and hangs on it."""
    client.rpush(f"{PREFIX}:q:wait", "ghost")
    replay = Replay(url, client)

    taken = await replay.play({"op": "take", "queue": "q", "token": "t", "now": 1_700_000_000_000})
    await replay.aclose()

    assert taken["jobId"] is None
    assert [] == [key for key in client.keys(f"{PREFIX}:q:*") if b":oxcart:" not in key]


def _missing(vector: Vector) -> set[str]:
    """What a vector uses that is not there yet, each on the list; anything else is a failure."""
    missing = set()
    for step in vector.steps:
        operation = step["op"]
        if operation != "startWorker" and not Replay.supports(operation):
            missing.add(operation)
        if step.get("result") != {"refused": True}:
            missing |= {f"option:{option}" for option in unsupported_options(step)}
    unlisted = missing - NOT_YET
    assert not unlisted, f"not supported and not on the list: {unlisted}"
    return missing


async def _replay(replay: Replay, vector: Vector) -> list[str]:
    found = []
    for number, step in enumerate(vector.steps, 1):
        if step["op"] == "startWorker":
            return await _with_worker(replay, step, vector)
        result = await replay.play(step)
        if "result" in step and not matches(step["result"], result):
            found.append(f"step {number} {step['op']}: expected {step['result']}, got {result}")
    # What a hazard leaves behind is the library's defect: oxcart only must not break on it.
    return [] if vector.is_hazard else found + _differences(replay.client, vector)


async def _with_worker(replay: Replay, step: Step, vector: Vector) -> list[str]:
    """Run a real worker whose handler never ends, and compare while it runs."""
    replay.clock.ms = step["now"]

    async def never_ends(_: JobContext) -> None:
        await asyncio.Event().wait()

    worker = Worker(
        step["queue"],
        never_ends,
        redis_url=replay.url,
        name=step["worker"]["name"],
        clock=replay.clock,
        grace="0s",
    )
    key = f"{PREFIX}:{step['queue']}:active"
    async with asyncio.TaskGroup() as group:
        group.create_task(worker.run())
        await wait_until(lambda: replay.client.llen(key), what="the worker to take the job")
        found = _differences(replay.client, vector)
        worker.stop(force=True)
    return found


def _differences(client: redis.Redis, vector: Vector) -> list[str]:
    found = differences(client, vector.keys, exact=False)
    found += event_differences(client, vector.events)
    if "keys" in vector.exact:
        found += differences(client, vector.exact["keys"], exact=True)
    found += event_differences(client, vector.exact.get("events", {}))
    return found
