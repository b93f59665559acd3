"""Pausing one worker of a queue, which leaves its jobs to the others."""

from __future__ import annotations

import asyncio

from tests.integration.engine.running import running

from oxcart import JobContext, Queue, Worker


async def test_paused_worker_leaves_jobs_to_another_and_takes_them_when_it_resumes(
    valkey_url: str, prefix: str
) -> None:
    ran: list[str] = []

    def worker(name: str) -> Worker:
        async def handle(job: JobContext) -> None:
            ran.append(name)

        return Worker("shop", handle, name=name, redis_url=valkey_url, prefix=prefix)

    paused, other = worker("paused"), worker("other")
    paused.pauses.pause("shop", reason="the bank is closed")

    async with Queue("shop", redis_url=valkey_url, prefix=prefix) as queue, running(paused):
        await queue.add("pay")
        async with running(other):
            async with asyncio.timeout(5):
                for _ in range(5):  # each by a marker that the paused one may get first
                    job = await queue.add("pay")
                    await job.result()
        assert set(ran) == {"other"}
        last = await queue.add("pay")
        (record,) = [each.record for each in await queue.get_registered_workers() if each.is_alive]
        assert record.pause_reason == "the bank is closed"
        assert record.paused_since_ms > 0

        paused.pauses.resume("shop")
        await last.result()

    assert ran[-1] == "paused"
