"""One replay: an empty database, the vector's clock, and the queues and workers in use."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Any, Self

import redis
from tests.interop.registry import OLDER_RELEASE, OPERATIONS, Operation
from tests.interop.vectors import Step

from oxcart import Queue, Worker
from oxcart._store.location import Location
from oxcart._store.store import Store
from oxcart._wire.codes import Code
from oxcart._wire.keys import QueueKeys
from oxcart.errors import (
    ConfigError,
    JobNotFound,
    JobNotInState,
    LockLost,
    LockMismatch,
    OxcartError,
    ParentConflict,
    ParentNotFound,
    PayloadError,
)

PREFIX = "bull"
CODES: dict[type[OxcartError], Code] = {
    JobNotFound: Code.JOB_MISSING,
    ParentNotFound: Code.PARENT_MISSING,
    ParentConflict: Code.PARENT_CONFLICT,
    LockLost: Code.LOCK_MISSING,
    JobNotInState: Code.NOT_IN_STATE,
    LockMismatch: Code.LOCK_MISMATCH,
}
"""What BullMQ answers where oxcart's public methods raise."""


class FixedClock:
    """The clock of the step that is being replayed."""

    def __init__(self) -> None:
        self.ms = 0

    def now_ms(self) -> int:
        return self.ms


class UnopenedQueue(Queue):
    """A queue that leaves its settings to the adds, as BullMQ's with ``skipMetasUpdate``."""

    async def open(self) -> None:
        self._is_open = True


class Session:
    """Plays steps on an empty database.

    Args:
        url: the database.
        client: a plain client for the same, for raw commands.
    """

    def __init__(self, url: str, client: redis.Redis) -> None:
        self.url = url
        self.client = client
        self.clock = FixedClock()
        self.store = Store(Location.at(url))
        self.step_count = 0
        self._queues: dict[str, Queue] = {}
        self._workers: list[Worker] = []
        self._running = asyncio.TaskGroup()

    async def __aenter__(self) -> Self:
        await self._running.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for worker in self._workers:
            worker.stop(force=True)
        # Not told of an error of the body, which then stays what it is.
        await self._running.__aexit__(None, None, None)
        await self.store.aclose()

    async def play(self, step: Step) -> Any:
        """Make one step; gives its result in the vector's form."""
        self.clock.ms = step["now"]
        if "library" in step:
            return await OLDER_RELEASE[step["op"]].play(self, step)
        operation = OPERATIONS[step["op"]]
        await self._open(step, operation)
        try:
            return await operation.play(self, step)
        except (ConfigError, PayloadError):
            return {"refused": True}
        except tuple(CODES) as error:
            return {"error": int(CODES[type(error)])}

    def keys(self, step: Step) -> QueueKeys:
        """The keys of a step's queue."""
        return QueueKeys(PREFIX, step["queue"])

    def queue(self, step: Step) -> Queue:
        """A step's queue; made with the defaults when it is named for the first time."""
        name = step["queue"]
        if name not in self._queues:
            self._queues[name] = self.make_queue(name)
        return self._queues[name]

    def make_queue(
        self, name: str, *, is_silent: bool = False, events_length: int | None = None
    ) -> Queue:
        """Make a queue that later steps use."""
        kind = UnopenedQueue if is_silent else Queue
        queue = kind(
            name, prefix=PREFIX, clock=self.clock, store=self.store, events_length=events_length
        )
        self._queues[name] = queue
        return queue

    def start(self, worker: Worker) -> None:
        """Run a worker until the replay is over."""
        self._workers.append(worker)
        self._running.create_task(worker.run())

    async def _open(self, step: Step, operation: Operation) -> None:
        if operation.opens and step["queue"] not in self._queues:
            await self.queue(step).open()
