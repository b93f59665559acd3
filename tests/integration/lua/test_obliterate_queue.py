from __future__ import annotations

from typing import Any

import pytest
import redis
from tests.integration.lua.keyspace import NOW, Keyspace, Table, child, job

from oxcart import Queue
from oxcart._store.calls.sweeping import obliterate
from oxcart.errors import QueueBusy

PAUSED: Table = {"meta": {"paused": "1", "concurrency": "3"}}


def everything() -> Table:
    """A queue with a job in each state and every other key that a queue may have."""
    iteration = f"repeat:s:{NOW}"
    return {
        "wait": ["w"], "paused": ["s"], "prioritized": {"p": 1.0}, "completed": {"c": 1.0},
        "delayed": {"d": 1.0, iteration: 2.0}, "failed": {"f": 1.0}, "waiting-children": {"k": 1.0},
        **{job_id: job() for job_id in "wspcfk"}, "d": job(deid="x"), iteration: job(rjk="s"),
        "w:logs": ["row"], "k:dependencies": {"a"}, "k:processed": {"a": "1"}, "de:x": "d",
        "k:failed": {"a": "1"}, "k:unsuccessful": {"a": 1.0}, "dn:x": {"jid": "9"},
        "repeat": {"s": float(NOW)},
        "repeat:s": {"name": "n"}, "id": "9", "pc": "1", "marker": {"0": 0}, "limiter": "1",
        "stalled": {"a"}, "stalled-check": "1", "metrics:completed": {"count": "1"},
        "metrics:failed": {"count": "1"}, "metrics:completed:data": ["1"],
        "metrics:failed:data": ["1"],
    }  # fmt: skip


@pytest.mark.parametrize("count", [1, 4, 1_000])
async def test_all_is_gone_after_as_many_calls_as_it_takes(space: Keyspace, count: int) -> None:
    space.write(everything() | PAUSED)
    client: Any = space.client
    client.xadd(space.keys.events, {"event": "e"})
    call = obliterate(space.keys, count=count, is_forced=False)

    calls = 1
    while await space.run(call) == 1:
        calls += 1

    assert calls == {1: 10, 4: 3, 1_000: 1}[count]
    assert space.read(without="") == {}


async def test_queue_that_is_not_paused_stays(space: Keyspace) -> None:
    before = everything()
    space.write(before)

    assert await space.run(obliterate(space.keys, count=9, is_forced=True)) == -1

    assert space.read(without="") == before


async def test_jobs_that_run_stay_unless_forced(space: Keyspace) -> None:
    before: Table = {"active": ["1"], "1": job(), "1:lock": "tok", **PAUSED}
    space.write(before)

    assert await space.run(obliterate(space.keys, count=9, is_forced=False)) == -2
    kept = space.read(without="")
    assert await space.run(obliterate(space.keys, count=9, is_forced=True)) == 0

    assert kept == before
    assert space.read(without="") == {}


@pytest.mark.parametrize("count", [1, 1_000])
@pytest.mark.parametrize("state", ["delayed", "prioritized", "failed"])
async def test_parent_that_waits_for_a_job_beside_it_goes_too(
    space: Keyspace, state: str, count: int
) -> None:
    """Were it removed after the child, the child's loss would have put it into wait."""
    space.write({"p": job(), "waiting-children": {"p": 1.0}, **PAUSED})
    space.write({"p:dependencies": {space.keys.job("1")}})
    space.write({state: {"1": 1.0}, "1": child(space, "p")})
    call = obliterate(space.keys, count=count, is_forced=False)

    while await space.run(call) == 1:
        pass

    assert space.read(without="") == {}


async def test_parent_in_another_queue_goes_on(space: Keyspace) -> None:
    parents = space.beside("up")
    parents.write({"p": job(), "waiting-children": {"p": 1.0}})
    parents.write({"p:dependencies": {space.keys.job("1")}})
    space.write({"wait": ["1"], "1": child(parents, "p"), **PAUSED})

    assert await space.run(obliterate(space.keys, count=9, is_forced=False)) == 0

    assert parents.read() == {"p": job(), "wait": ["p"], "marker": {"0": 0}}
    assert parents.events() == [("waiting", "p", "waiting-children")]


async def test_queue_pauses_itself_and_goes_on_to_the_end(
    space: Keyspace, valkey: redis.Redis
) -> None:
    ids = [f"j{number:04}" for number in range(1_500)]
    space.write({"wait": ids, **{job_id: job() for job_id in ids}})
    queue = Queue("q", prefix=space.keys.prefix, clock=space.clock, store=space.store)

    await queue.obliterate()

    assert valkey.keys(f"{space.keys.base}*") == []


async def test_busy_queue_is_told_and_stays_paused(space: Keyspace) -> None:
    space.write({"active": ["1"], "1": job(), "1:lock": "tok", "wait": ["2"], "2": job()})
    queue = Queue("q", prefix=space.keys.prefix, clock=space.clock, store=space.store)

    with pytest.raises(QueueBusy):
        await queue.obliterate()

    assert await queue.is_paused()
    assert space.read()["wait"] == ["2"]
