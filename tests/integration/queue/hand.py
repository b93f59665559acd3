"""A worker whose moves a test makes by hand, through the calls that real workers make."""

from __future__ import annotations

from oxcart import Queue, Retention
from oxcart._model.clock import ServerClock
from oxcart._model.outcome import Completed, Failed, Outcome
from oxcart._store.calls.stepping import EndedRun, StepReply, TakeRequest, Terms, step


class Hand:
    """Takes and ends the jobs of a queue, one at a time."""

    def __init__(self, queue: Queue) -> None:
        self._store, self._keys = queue._store, queue._keys

    async def take(self, count: int = 1) -> list[str]:
        """Take jobs under the lock token ``hand``; their ids."""
        reply = await self._step([], count)
        return [taken.job_id for taken in reply.taken]

    async def complete(
        self, job_id: str, value: bytes = b'"done"', *, keep: Retention = Retention.ALL
    ) -> None:
        """Complete a taken job."""
        await self._end(job_id, Completed(value), keep)

    async def fail(self, job_id: str, reason: str = "broken") -> None:
        """Fail a taken job for good."""
        await self._end(job_id, Failed(reason, "Traceback"))

    async def _end(self, job_id: str, outcome: Outcome, keep: Retention = Retention.ALL) -> None:
        run = EndedRun(job_id=job_id, token="hand", outcome=outcome, terms=Terms(keep=keep))
        reply = await self._step([run], 0)
        assert (0,) == reply.codes

    async def _step(self, runs: list[EndedRun], count: int) -> StepReply:
        take = TakeRequest(count=count, token="hand", lock_ms=30_000)
        return await self._store.run(
            step(self._keys, runs, take, clock=ServerClock(), worker_id="hand", sequence=0)
        )
