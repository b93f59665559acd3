"""Running workers beside a test, and waiting for what they do."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from oxcart import Job, JobState, Queue
from oxcart.worker import WorkerGroup

QUICK: dict[str, Any] = {"lock": "1s", "stalled_interval": "500ms", "grace": "5s"}
"""Options of a worker whose locks run out within a test's time."""


@asynccontextmanager
async def running(*workers: WorkerGroup) -> AsyncIterator[None]:
    """Run workers while the body runs, and stop them at once after it."""
    failure: Exception | None = None
    async with asyncio.TaskGroup() as group:
        for worker in workers:
            group.create_task(worker.run())
        try:
            yield
        # Raised below, outside the group, so that it stays itself.
        except Exception as error:  # noqa: BLE001
            failure = error
        for worker in workers:
            worker.stop(force=True)
    if failure is not None:
        raise failure


async def until(
    condition: Callable[[], Awaitable[object]], *, within: float = 10, what: str
) -> None:
    """Wait until an awaited condition holds; fail with a sentence when it does not."""
    deadline = time.monotonic() + within
    while not await condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {within} s for {what}")
        await asyncio.sleep(0.005)


async def is_in(queue: Queue, job: Job[Any], state: JobState, *, within: float = 10) -> Job[Any]:
    """Wait until a job is in a state; gives it as it is then."""

    async def has_come() -> bool:
        return await queue.get_state(job.id) is state

    await until(has_come, within=within, what=f"job {job.id} to be {state}")
    return await job.refresh()


async def all_ended(queue: Queue, *, within: float = 10) -> None:
    """Wait until nothing of a queue is left to be run."""

    async def is_over() -> bool:
        counts = await queue.get_counts()
        return counts.pending == counts.active == 0

    await until(is_over, within=within, what=f"all jobs of {queue.name} to end")
