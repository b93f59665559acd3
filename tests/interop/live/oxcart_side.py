"""The Python side of a test: queues, workers and events of oxcart, under the test's prefix."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.interop.live.handlers import handle
from tests.support import wait_until

from oxcart import FlowProducer, Queue, QueueEvent, QueueEvents, Worker
from oxcart.worker import HandlerFunction

PROGRAM = "tests.interop.live.programs.worker"
ROOT = Path(__file__).parents[3]


class OxcartSide:
    """What a test does with oxcart; whatever it opened is closed at the end.

    Args:
        url: the server.
        prefix: what all keys start with.
        folder: where worker processes log.
    """

    def __init__(self, url: str, prefix: str, folder: Path) -> None:
        self.url = url
        self.prefix = prefix
        self._folder = folder
        self._open = AsyncExitStack()
        self._processes: list[WorkerProcess] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for process in self._processes:
            process.kill()
        await self._open.aclose()

    async def queue(self, name: str = "q", **options: Any) -> Queue:
        """A queue."""
        queue = Queue(name, redis_url=self.url, prefix=self.prefix, **options)
        return await self._open.enter_async_context(queue)

    async def flows(self) -> FlowProducer:
        """A flow producer."""
        flows = FlowProducer(redis_url=self.url, prefix=self.prefix)
        return await self._open.enter_async_context(flows)

    @asynccontextmanager
    async def worker(
        self, queue: str = "q", handler: HandlerFunction = handle, **options: Any
    ) -> AsyncIterator[Worker]:
        """A worker that runs while the body does."""
        worker = Worker(queue, handler, redis_url=self.url, prefix=self.prefix, **options)
        async with asyncio.TaskGroup() as group:
            group.create_task(worker.run())
            try:
                yield worker
            finally:
                worker.stop(force=True)

    @asynccontextmanager
    async def follow(self, queue: str = "q") -> AsyncIterator[list[QueueEvent]]:
        """The events of a queue from its first; the list grows while the body runs."""
        events = QueueEvents(queue, after="0", redis_url=self.url, prefix=self.prefix)
        seen: list[QueueEvent] = []

        async def read() -> None:
            async for event in events:
                seen.append(event)  # noqa: PERF401  # it grows while it is looked at

        async with asyncio.TaskGroup() as group:
            reading = group.create_task(read())
            try:
                yield seen
            finally:
                reading.cancel()

    def start_process(self, queue: str = "q", **options: Any) -> WorkerProcess:
        """Start a worker in a process of its own, which may be killed."""
        log = self._folder / f"worker-{len(self._processes)}.log"
        process = WorkerProcess(self.url, self.prefix, queue, log, options)
        self._processes.append(process)
        return process


class WorkerProcess:
    """A worker of oxcart in a process of its own."""

    def __init__(
        self, url: str, prefix: str, queue: str, log: Path, options: dict[str, Any]
    ) -> None:
        given = {"redis_url": url, "prefix": prefix, **options}
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-W", "error", "-m", PROGRAM, queue, json.dumps(given)],
                cwd=ROOT,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    def kill(self) -> None:
        """End it without warning; does nothing once it has ended."""
        self._process.kill()
        self._process.wait()


async def wait_for_event(
    seen: list[QueueEvent], name: str, *, job_id: str | None = None
) -> QueueEvent:
    """Wait until an event was seen, and give it."""

    def found() -> list[QueueEvent]:
        return [event for event in seen if event.name == name and job_id in (None, event.job_id)]

    await wait_until(found, within=30, what=f"oxcart to see the event {name} of job {job_id}")
    return found()[0]
