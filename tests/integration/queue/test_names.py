"""Names of jobs and prefixes: what is refused when it is added, and what is read all the same."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
import redis
from tests.integration.engine.running import QUICK, is_in, running

import oxcart
from oxcart import App, FlowNode, JobContext, JobSpec, JobState, Schedule, Worker
from oxcart.errors import ConfigError

BAD_NAMES = ["two\nlines", "nul\0", "\x1b[31mred", "\u2028", "x" * 1_001]
ADDING: dict[str, Callable[[App, str], Awaitable[object]]] = {
    "add": lambda app, name: app.queue("q").add(name),
    "add_many": lambda app, name: app.queue("q").add_many([JobSpec(name=name)]),
    "add_flow": lambda app, name: app.add_flow(FlowNode(name=name, queue="q")),
    "upsert_scheduler": lambda app, name: app.queue("q").upsert_scheduler(
        "s", Schedule.every("1h"), name
    ),
    "sync": lambda app, name: asyncio.to_thread(app.sync_queue("q").add, name),
}


@pytest.mark.parametrize("way", ADDING)
async def test_names_with_control_characters_and_of_absurd_length_are_not_added(
    valkey_url: str, prefix: str, way: str
) -> None:
    async with App(valkey_url, prefix=prefix) as app:
        for name in BAD_NAMES:
            with pytest.raises(ConfigError, match=r"job name .* the job was not added"):
                await ADDING[way](app, name)
        await ADDING[way](app, "Grüße: 日本語 👩‍💻/v1.2 #3\u00a0")
        counts = await app.queue("q").get_counts()

    assert 1 == counts.waiting + counts.delayed


async def test_job_of_any_name_that_node_wrote_is_read_and_run(
    valkey_url: str, prefix: str, valkey: redis.Redis
) -> None:
    seen = []

    async def handle(job: JobContext) -> None:
        seen.append(job.name)

    async with App(valkey_url, prefix=prefix) as app:
        queue = app.queue("q")
        jobs = [await queue.add("n") for _ in BAD_NAMES]
        for job, name in zip(jobs, BAD_NAMES, strict=True):
            valkey.hset(f"{prefix}:q:{job.id}", "name", name)
        async with running(Worker("q", handle, redis_url=valkey_url, prefix=prefix, **QUICK)):
            done = [await is_in(queue, job, JobState.COMPLETED) for job in jobs]

    assert sorted(BAD_NAMES) == sorted(seen)
    assert BAD_NAMES == [job.name for job in done]


@pytest.mark.parametrize("bad", ["", "a\nb", "*", "bull*", "a?", "[ab]", "\\", "x" * 201, 7])
def test_prefix_that_keys_cannot_begin_with_is_refused(bad: str, valkey_url: str) -> None:
    for make in (
        lambda: App(valkey_url, prefix=bad),
        lambda: oxcart.Queue("q", redis_url=valkey_url, prefix=bad),
        lambda: oxcart.sync.Queue("q", redis_url=valkey_url, prefix=bad),
        lambda: oxcart.FlowProducer(redis_url=valkey_url, prefix=bad),
        lambda: oxcart.QueueEvents("q", redis_url=valkey_url, prefix=bad),
        lambda: FlowNode(name="n", queue="q", prefix=bad),
    ):
        with pytest.raises(ConfigError, match=r"prefix .* must be 1 to 200 characters"):
            make()


@pytest.mark.parametrize("good", ["{bull}", "shop:bull", "my app", "büll"])
def test_prefix_that_node_may_use_is_taken(good: str, valkey_url: str) -> None:
    assert App(valkey_url, prefix=good)._prefix == good
