"""Sending a worker's steps so that each takes effect exactly once.

A step whose reply was lost is sent again under the same number; the server remembers the last one.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import TypeVar

from oxcart._engine.reconnect import Reconnect, log_reconnected
from oxcart._engine.transfer import Transfer
from oxcart._model.clock import Clock
from oxcart._model.links import RateLimit
from oxcart._store.call import Call
from oxcart._store.calls import holding
from oxcart._store.calls.stepping import (
    EndedRun,
    StepReply,
    TakenJob,
    TakeRequest,
    may_be_plain,
    plain_step,
    step,
)
from oxcart._store.store import Store
from oxcart._wire.keys import QueueKeys
from oxcart.errors import ScriptFailed, StoreUnavailable

T = TypeVar("T")

WHOLE_STEPS = 16
"""How many steps are sent whole after one that could not be plain: the next are likely the same."""

log = logging.getLogger("oxcart.worker")

MAX_BATCH = 500
"""How many runs a step ends, and how many jobs it takes, at the most."""
TWO_LANES_FROM = 4
"""From so many places on a worker has two lanes."""


def lanes_for(concurrency: int) -> int:
    """How many lanes serve so many places."""
    return 2 if concurrency >= TWO_LANES_FROM else 1


class Stepper:
    """Sends steps, one at a time.

    Args:
        store: the server.
        keys: the queue.
        clock: what the time is.
        worker_id: unique to the lane; the tokens of its locks start with it.
        worker_name: kept with the jobs that it takes.
        lock_ms: how long they are locked.
        limit: the worker's own rate limit.
        metrics_size: how many data points of finished jobs a minute are kept; 0 counts none.
    """

    def __init__(
        self,
        store: Store,
        keys: QueueKeys,
        clock: Clock,
        *,
        worker_id: str,
        worker_name: str,
        lock_ms: int,
        limit: RateLimit | None = None,
        metrics_size: int = 0,
        on_error: Callable[[BaseException], None] = lambda _: None,
    ) -> None:
        self._on_error = on_error
        self._store = store
        self._keys = keys
        self._clock = clock
        self._worker_id = worker_id
        self._worker_name = worker_name
        self._lock_ms = lock_ms
        self._limit = limit
        self._metrics_size = metrics_size
        self._sequence = 0
        self._held_count = 0
        self._whole_steps = 0
        self.has_repeated = False
        """Whether the last step was sent again: then the queue may hold more than it answered."""
        self.most_taken = MAX_BATCH
        """How many jobs the next step may take: fewer after one that had to be sent again."""
        self.transfer = Transfer(keys, worker_id)
        """The jobs of a step that was not answered yet."""

    def locked_since(self, started_at: float) -> float:
        """Return when the locks of the last step's jobs were set or renewed, at the earliest."""
        return self.transfer.locked_since(self._sequence, started_at)

    async def step(
        self, runs: Sequence[EndedRun], count: int, started_at: float = 0.0
    ) -> StepReply:
        """End runs and take jobs; waits for as long as the server cannot be reached.

        Args:
            runs: the runs to end.
            count: how many jobs to take at the most.
            started_at: what the time is, in monotonic seconds; needed where jobs are taken.

        Raises:
            ScriptFailed: the server ended the script with an error: something in the queue is not
                what it should be.
        """
        self._sequence += 1
        take = TakeRequest(
            count=count,
            token=f"{self._worker_id}:{self._sequence}",
            lock_ms=self._lock_ms,
            worker_name=self._worker_name,
            limit=self._limit,
        )
        self.has_repeated = False
        if count:
            self.transfer.pending = (self._sequence, started_at)
        try:
            return await self._send_step(runs, take)
        finally:
            self.transfer.pending = None
            if self.has_repeated:
                # The reply may have been too much for the line.
                self.most_taken = max(1, count // 2) if count else self.most_taken
            elif self.most_taken < MAX_BATCH:
                self.most_taken = min(MAX_BATCH, self.most_taken * 2)

    async def _send_step(self, runs: Sequence[EndedRun], take: TakeRequest) -> StepReply:
        if self._whole_steps > 0:
            self._whole_steps -= 1
        elif may_be_plain(runs, take):
            reply = await self._send(self._call(plain_step, runs, take))
            if reply is not None:
                return reply
            self._whole_steps = WHOLE_STEPS
        return await self._send(self._call(step, runs, take))

    def _call(
        self, build: Callable[..., Call[T]], runs: Sequence[EndedRun], take: TakeRequest
    ) -> Call[T]:
        return build(
            self._keys,
            runs,
            take,
            clock=self._clock,
            worker_id=self._worker_id,
            sequence=self._sequence,
            metrics_size=self._metrics_size,
        )

    async def _send(self, call: Call[T]) -> T:
        reconnect = Reconnect()
        while True:
            try:
                reply = await self._store.run(call)
            except StoreUnavailable as error:
                self.has_repeated = True
                if reconnect.is_first:
                    log.warning("worker.waiting_for_server queue=%s: %s", self._keys.queue, error)
                    self._on_error(error)
                await reconnect.wait()
            else:
                log_reconnected(self._keys.queue, reconnect.reset())
                return reply

    def expect_due(self) -> None:
        """A delayed job is due: the next step cannot be plain, so it need not be tried."""
        self._whole_steps = max(1, self._whole_steps)

    async def take_held(self, job_id: str, held_token: str) -> TakenJob | None:
        """Take one active job that the supervisor holds; ``None`` if it is not held any more."""
        self._held_count += 1
        call = holding.take_held(
            self._keys,
            job_id,
            held_token,
            clock=self._clock,
            token=f"{self._worker_id}:held:{self._held_count}",
            lock_ms=self._lock_ms,
            worker_name=self._worker_name,
        )
        return await self._store.run(call)

    async def forget_alone(self, job_id: str) -> None:
        """Remove the mark by which a job is run alone: it begins to."""
        await self._store.run(holding.forget_alone(self._keys, job_id))

    async def end_one_by_one(self, runs: Sequence[EndedRun]) -> list[tuple[EndedRun, int]]:
        """End runs singly, after a batch of them failed: one bad job must not hold up the others.

        Returns:
            The runs that were answered, with their codes. Those left out could not be written;
            their jobs are recovered as stalled.
        """
        answered = []
        for run in runs:
            try:
                reply = await self.step([run], 0)
            except ScriptFailed:
                log.exception(
                    "worker.cannot_finish queue=%s job_id=%s", self._keys.queue, run.job_id
                )
                await asyncio.sleep(0)
            else:
                answered.append((run, reply.codes[0]))
        return answered
