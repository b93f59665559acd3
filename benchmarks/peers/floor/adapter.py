"""The floor: the least that any queue on Redis must do, as fast as Python does it.

A list of waiting jobs and a sorted set of active ones. One script acknowledges a batch and claims
another; each job is one asyncio task. Redis-py with hiredis, uvloop, one connection.

It is no queue: nothing is retried, delayed, ordered, kept or told, and a worker that dies leaves
its jobs in the sorted set.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from typing import Any

import msgspec
import redis.asyncio as redis
import uvloop
from benchmarks.meter import Meter
from benchmarks.protocol import (
    POLL_S,
    Order,
    Stopwatch,
    main,
    rss_bytes,
    say_enqueued,
    say_ready,
    say_worked,
    until_done,
)

LACKS = (
    "locks",
    "events",
    "results",
    "retries",
    "delays",
    "priorities",
    "flows",
    "retention",
    "recovery",
)

BATCH = 1_000
BLOCK_S = 5.0
STEP = """
local active = KEYS[2]
for first = 3, #ARGV, 1000 do
  redis.call('ZREM', active, unpack(ARGV, first, math.min(first + 999, #ARGV)))
end
if tonumber(ARGV[1]) == 0 then return {} end
local jobs = redis.call('RPOP', KEYS[1], ARGV[1])
if not jobs then return {} end
for index = 1, #jobs do redis.call('ZADD', active, ARGV[2], jobs[index]) end
return jobs
"""


def enqueue(order: Order) -> None:
    """Add the jobs."""
    uvloop.run(_enqueue(order))


def work(order: Order) -> None:
    """Run the jobs."""
    uvloop.run(_Worker(order).run())


async def _enqueue(order: Order) -> None:
    client = redis.Redis.from_url(order.url, socket_timeout=None)
    await client.ping()
    watch = Stopwatch()
    if "rate" in order.options:
        async for number in order.paced():
            await client.lpush(order.queue, _text(order.due_data(number)))
    elif "callers" in order.options:
        await _enqueue_one_by_one(client, order)
    else:
        for start in range(0, order.jobs, BATCH):
            numbers = range(start, min(start + BATCH, order.jobs))
            await client.lpush(order.queue, *(_text(order.data(number)) for number in numbers))
    say_enqueued(order, watch)
    await client.aclose()


async def _enqueue_one_by_one(client: redis.Redis, order: Order) -> None:
    numbers = iter(range(order.jobs))

    async with asyncio.TaskGroup() as group:
        joiner = _Joiner(client, order.queue, group)

        async def call() -> None:
            for number in numbers:
                await joiner.add(_text(order.data(number)))

        for _ in range(order.options["callers"]):
            group.create_task(call())


class _Joiner:
    """Sends together what concurrent callers add while a call is under way."""

    def __init__(self, client: redis.Redis, queue: str, group: asyncio.TaskGroup) -> None:
        self._client, self._queue, self._group = client, queue, group
        self._is_sending = False
        self._start_batch()

    async def add(self, text: bytes) -> None:
        self._batch.append(text)
        is_sent = self._is_sent
        if not self._is_sending:
            self._is_sending = True
            self._group.create_task(self._send())
        await is_sent

    async def _send(self) -> None:
        while self._batch:
            batch, is_sent = self._batch, self._is_sent
            self._start_batch()
            await self._client.lpush(self._queue, *batch)
            is_sent.set_result(None)
        self._is_sending = False

    def _start_batch(self) -> None:
        self._batch: list[bytes] = []
        self._is_sent = asyncio.get_running_loop().create_future()


def _text(data: dict[str, Any]) -> bytes:
    # Two equal jobs would be one member of the sorted set.
    return _encode(data | {"id": next(_numbers)})


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode
_numbers = itertools.count()


class _Worker:
    """Claims and acknowledges in batches, as many jobs at a time as there are places."""

    def __init__(self, order: Order) -> None:
        self._order = order
        self._meter = Meter(order.meter)
        self._keys = (order.queue, f"{order.queue}:active")
        self._free = order.concurrency
        self._ended: list[bytes] = []
        self._wake = asyncio.Event()

    async def run(self) -> None:
        client = redis.Redis.from_url(self._order.url, socket_timeout=None)
        step = client.register_script(STEP)
        await client.ping()
        rss, watch = rss_bytes(), Stopwatch()
        say_ready()
        async with asyncio.TaskGroup() as group:
            turning = group.create_task(self._run_turns(group, client, step))
            await until_done(self._order, self._meter)
            # Redis-py swallows a cancellation that comes while it writes.
            while not turning.done():
                turning.cancel()
                await asyncio.sleep(POLL_S)
        say_worked(self._meter, watch, rss_before=rss)
        await step(keys=self._keys, args=[0, 0, *self._ended])
        await client.aclose()

    async def _run_turns(self, group: asyncio.TaskGroup, client: redis.Redis, step: Any) -> None:
        while True:
            await self._turn(group, client, step)

    async def _turn(self, group: asyncio.TaskGroup, client: redis.Redis, step: Any) -> None:
        ended, self._ended = self._ended, []
        jobs = await step(keys=self._keys, args=[self._free, int(time.time()), *ended])
        self._free -= len(jobs)
        for job in jobs:
            group.create_task(self._run_job(job))
        if self._ended or jobs:
            await self._until_ended()
        elif self._free == self._order.concurrency:
            await self._until_added(client, group)
        else:
            await self._until_ended()

    async def _until_ended(self) -> None:
        if not self._ended:
            self._wake.clear()
            await self._wake.wait()

    async def _until_added(self, client: redis.Redis, group: asyncio.TaskGroup) -> None:
        found: Any = await client.brpop([self._order.queue], timeout=BLOCK_S)
        if found is not None:
            _, job = found
            await client.zadd(self._keys[1], {job: time.time()})
            self._free -= 1
            group.create_task(self._run_job(job))

    async def _run_job(self, job: bytes) -> None:
        data = _decode(job)
        self._meter.begin()
        if "due" in data:
            self._meter.late(data["due"])
        if self._order.sleep_s:
            await asyncio.sleep(self._order.sleep_s)
        self._meter.end()
        self._free += 1
        self._ended.append(job)
        self._wake.set()


if __name__ == "__main__":
    main(enqueue=enqueue, work=work)
