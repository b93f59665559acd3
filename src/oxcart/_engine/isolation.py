"""Running a job with no other beside it, which shows whether it kills its process."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from typing import Protocol

from oxcart._engine.hold import Hold
from oxcart._engine.running_job import RunningJob
from oxcart._engine.stepper import Stepper
from oxcart._model.outcome import GivenBack, Lost, Outcome
from oxcart._store.calls.stepping import TakenJob
from oxcart.errors import StoreError

ALONE_MARK = b"ox:alone"
"""Field of a job that was lost beside others: it is to be run alone."""
ALONE_S = 10.0
"""How long such a job waits for the others of a worker to end, and then runs without any."""


class Runner(Protocol):
    """The fetcher, as far as it is needed here."""

    is_idle: asyncio.Event

    @property
    def running_count(self) -> int:
        """How many jobs run or wait to be started."""

    @property
    def expected_count(self) -> int:
        """How many jobs steps in flight may bring."""

    def running_jobs(self) -> list[RunningJob]:
        """Return the jobs that run or wait to be started."""

    def launch_all(self, taken_jobs: Sequence[TakenJob], locked_since: float) -> None:
        """Run jobs that were taken and whose locks count from a monotonic time."""

    def start(self, running: Coroutine[None, None, None]) -> asyncio.Task[None]:
        """Start the task of a job."""

    async def run(self, job: RunningJob) -> None:
        """Run a job to its end."""

    def end(self, job: RunningJob, outcome: Outcome) -> None:
        """End a job that is not run."""

    def let_go(self, job: RunningJob) -> None:
        """Forget a job that the supervisor has taken over."""

    def look(self) -> None:
        """Look for work."""


class Isolation:
    """Runs marked jobs one at a time without others, and jobs that the supervisor assigns.

    All state is owned by the event loop.

    Args:
        runner: runs the jobs.
        stepper: takes assigned jobs.
        hand_over: hands a job (id, lock token) over to the supervisor; false if it has to be run
            here.
    """

    def __init__(
        self, runner: Runner, stepper: Stepper, hand_over: Callable[[str, str], bool]
    ) -> None:
        self._runner = runner
        self._stepper = stepper
        self._hand_over = hand_over
        self._since = 0.0
        self._written: dict[Hold, asyncio.Event] = {}
        self.job: RunningJob | None = None
        """The job that runs alone or waits for that: meanwhile no other is taken."""

    def add(self, job: RunningJob) -> None:
        """Have a job run alone: by the supervisor, or here as soon as nothing else runs."""
        if self._hand_over(job.taken.job_id, job.taken.token):
            self._runner.let_go(job)
        elif self.job is not None:
            # Steps in flight brought it. Here it would lose its lock if the other one stops every
            # thread of the process.
            self._runner.end(job, GivenBack(is_unrun=True))
        else:
            self.job, self._since = job, time.monotonic()
            self.go_on()

    def go_on(self) -> None:
        """Start the job once it is alone, and let others be taken again after a while."""
        job = self.job
        if job is None:
            return
        is_over = time.monotonic() >= self._since + ALONE_S
        if job.task is not None:
            if is_over:
                self._close()
        elif job.hold.is_lost:
            self._runner.end(job, Lost())
        elif is_over or (self._runner.running_count == 1 and not self._runner.expected_count):
            job.task = self._runner.start(self._run(job))
            self._since = time.monotonic()
            if is_over:  # the others do not end: better beside them than not at all
                self._close()

    def note_finished(self, job: RunningJob) -> None:
        """Take note that a job of the worker has ended."""
        if job is self.job:
            self._close()
        elif self.job is not None:
            self.go_on()

    def note_released(self, holds: Sequence[Hold]) -> None:
        """Take note of jobs whose end is written, or that were lost."""
        if self._written:
            for hold in holds:
                written = self._written.pop(hold, None)
                if written is not None:
                    written.set()

    def cancel(self) -> None:
        """Put the job back that waits to run alone: the worker stops."""
        if self.job is not None and self.job.task is None:
            self._runner.end(self.job, GivenBack(is_unrun=True))

    async def run_assigned(self, job_id: str, held_token: str) -> None:
        """Run one active job that the supervisor holds, until its result is written.

        Raises:
            StoreError: the job could not be taken.
        """
        started_at = time.monotonic()
        taken = await self._stepper.take_held(job_id, held_token)
        if taken is None:  # it has ended meanwhile, or another worker has it
            return
        self._runner.is_idle.clear()
        taken.fields.pop(ALONE_MARK, None)
        self._runner.launch_all([taken], started_at)
        held = {job.taken.job_id: job.hold for job in self._runner.running_jobs()}
        if job_id in held:  # else it was given back: the worker stops
            written = self._written[held[job_id]] = asyncio.Event()
            await written.wait()

    async def _run(self, job: RunningJob) -> None:
        with suppress(StoreError):
            await self._stepper.forget_alone(job.taken.job_id)
        await self._runner.run(job)

    def _close(self) -> None:
        self.job = None
        self._runner.look()
