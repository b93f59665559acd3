"""Who delivers the parcels: oxcart's workers, and jobs that stand in every state."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import redis
from tests.integration.engine.running import is_in, running
from tests.support import wait_until

from oxcart import Job, JobContext, JobState, Queue, Worker, exponential
from oxcart._model.clock import Clock

REASON = "no such street"
WORKER = "cart-1"


class AnHourAgo:
    """A clock that is an hour behind: Bull Board cleans nothing that is younger than seconds."""

    def now_ms(self) -> int:
        """Tell the time of an hour ago."""
        return round((time.time() - 3_600) * 1_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Parcels:
    """One job of each state."""

    waiting: Job[Any]
    active: Job[Any]
    delayed: Job[Any]
    prioritized: Job[Any]
    completed: Job[Any]
    failed: Job[Any]

    def by_state(self) -> dict[JobState, Job[Any]]:
        """The jobs by the state they are in."""
        return {
            JobState.WAITING: self.waiting,
            JobState.ACTIVE: self.active,
            JobState.DELAYED: self.delayed,
            JobState.PRIORITIZED: self.prioritized,
            JobState.COMPLETED: self.completed,
            JobState.FAILED: self.failed,
        }


class Depot:
    """The workers of a queue.

    They do what a job's name says: ``lose`` fails, ``hold`` stays active until it is let go, and
    anything else is delivered.

    Args:
        redis_url: the server.
        prefix: the queue's prefix.
        queue: the queue.
        clock: tells the workers the time instead of the server.

    Attributes:
        delivered: the data of the jobs that were delivered, in that order.
        is_mended: streets are found now: ``lose`` delivers.
    """

    def __init__(
        self, redis_url: str, prefix: str, queue: Queue, *, clock: Clock | None = None
    ) -> None:
        self.delivered: list[Any] = []
        self.is_mended = False
        self._shared: dict[str, Any] = {"redis_url": redis_url, "prefix": prefix, "clock": clock}
        self._queue = queue
        self._released = asyncio.Event()

    def worker(self, **options: Any) -> Worker:
        """A worker of the queue."""
        return Worker(self._queue.name, self._handle, **self._shared, **options)

    @asynccontextmanager
    async def open(self, **options: Any) -> AsyncIterator[None]:
        """Let a worker run while the body runs."""
        async with running(self.worker(**options)):
            yield

    async def until_delivered(self, count: int) -> None:
        """Wait until so many parcels were delivered."""
        await wait_until(
            lambda: len(self.delivered) >= count, within=30, what=f"{count} parcels delivered"
        )

    def release(self) -> None:
        """Let go the jobs that are held."""
        self._released.set()

    @asynccontextmanager
    async def with_parcels(self) -> AsyncIterator[Parcels]:
        """Jobs in every state, the active one held by a worker; then pause the queue."""
        queue = self._queue
        completed = await queue.add("deliver", {"to": "Ada", "grams": 250})
        failed = await queue.add(
            "lose", {"to": "Bob"}, attempts=2, backoff=exponential("1ms"), job_id="lost-1"
        )
        active = await queue.add("hold", {"to": "Cy"}, attempts=3)
        async with self.open(concurrency=3, name=WORKER):
            await is_in(queue, completed, JobState.COMPLETED)
            await is_in(queue, failed, JobState.FAILED)
            await is_in(queue, active, JobState.ACTIVE)
            await queue.pause()
            yield Parcels(
                waiting=await queue.add("deliver", {"to": "Di"}),
                active=active,
                delayed=await queue.add("deliver", {"to": "Ed"}, delay="24h"),
                prioritized=await queue.add("deliver", {"to": "Flo"}, priority=7),
                completed=completed,
                failed=failed,
            )

    async def _handle(self, job: JobContext) -> Any:
        await job.log(f"attempt {job.attempt} begins")
        if job.name == "lose" and not self.is_mended:
            raise LookupError(REASON)
        await job.progress({"at": "door", "percent": 80})
        if job.name == "hold":
            await self._released.wait()
        self.delivered.append(job.data)
        return {"delivered": job.data}


async def until_idle(valkey: redis.Redis, prefix: str) -> None:
    """Wait until a worker has looked for jobs, found none, and sleeps until it is woken."""

    def sleeps() -> bool:
        return any(
            client["name"].startswith(f"{prefix}:") and client["cmd"] == "bzpopmin"
            for client in valkey.client_list()
        )

    await wait_until(sleeps, what="the worker to be idle")
