"""The loop of a worker: one step after another, each ending what is over and taking what fits.

A lane has one step in flight at a time. Jobs that end meanwhile pile up and go out with the next
step: at low load a job's end goes out at once, at high load batches grow by themselves. A worker
with many places has two lanes, each for half of them, so that the server works on one lane's step
while this process runs the other's jobs.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Coroutine, Sequence

from oxcart._engine.begun import Begun
from oxcart._engine.due_timer import DueTimer
from oxcart._engine.executor import NOTHING_TO_WAIT_FOR, Executor
from oxcart._engine.failure_hooks import RunningHooks
from oxcart._engine.hold import Hold
from oxcart._engine.isolation import ALONE_MARK, Isolation
from oxcart._engine.lock_keeper import LockKeeper
from oxcart._engine.outcome_log import OnWritten, OutcomeLog
from oxcart._engine.reconnect import Reconnect
from oxcart._engine.running_job import CancelReason, RunningJob
from oxcart._engine.sent_step import EndedJob, SentStep
from oxcart._engine.server_time import ServerTime
from oxcart._engine.stepper import MAX_BATCH, Stepper
from oxcart._model.outcome import Completed, Failed, GivenBack, Lost, Outcome
from oxcart._store.calls.stepping import EndedRun, StepReply, TakenJob
from oxcart._wire.codes import Code
from oxcart._wire.keys import QueueKeys
from oxcart.errors import ScriptFailed

log = logging.getLogger("oxcart.worker")

UNDECIDED = frozenset({NOTHING_TO_WAIT_FOR, Code.PENDING_CHILDREN, Code.FAILED_CHILDREN})
"""Answers to an outcome that the job's children do not allow."""
MAX_LIMITED_S = 5.0
"""How long a rate limit is waited for before it is looked at again: it may have been lifted."""
LIMITED_LOOK_MS = 250.0
"""How soon a marker is answered while a rate limit holds jobs back: most are for added jobs."""
OVERTIME_S = 5.0
"""How long a handler may go on after it was cancelled before its place is given away."""


class Fetcher:
    """Keeps a worker's places filled.

    All state is owned by the event loop.

    Args:
        steppers: send the steps, each those of a lane.
        executor: runs the jobs.
        keeper: renews their locks.
        keys: the queue.
        concurrency: how many jobs run at a time.
        arm: makes the waiter wait for the next marker.
        pass_on: puts a marker back that this worker cannot use.
        on_written: called for each run that did not complete its job.
        hand_over: hands a job that must run alone to the supervisor; see ``Isolation``.
    """

    def __init__(
        self,
        steppers: Sequence[Stepper],
        executor: Executor,
        keeper: LockKeeper,
        keys: QueueKeys,
        *,
        concurrency: int,
        arm: Callable[[], None],
        pass_on: Callable[[], None],
        on_written: OnWritten | None = None,
        hand_over: Callable[[str, str], bool] = lambda _id, _token: False,
    ) -> None:
        self._steppers = steppers
        self._executor = executor
        self._keeper = keeper
        self._keys = keys
        self._concurrency = concurrency
        self._batch = min(MAX_BATCH, -(-concurrency // len(steppers)))
        self._arm = arm
        self._pass_on = pass_on
        self._loop = asyncio.get_running_loop()
        self._running: dict[Hold, RunningJob] = {}
        self.isolation = Isolation(self, steppers[0], hand_over)
        self._expected = 0  # jobs that steps in flight may bring
        self._ended: deque[EndedJob] = deque()
        self._wake = asyncio.Event()
        self.hooks = RunningHooks(keys.queue, executor.hooks, on_end=self._wake.set)
        self._log = OutcomeLog(keys.queue, on_written)
        self._may_have_work = True
        self._is_limited = False
        self._is_draining = self.is_paused = False
        self._is_cancelling = False
        self._in_flight = 0  # steps
        self._writing = 0  # results in them
        self._due_timer = DueTimer(self._on_due_timer)
        self._server_time = ServerTime()
        self._trouble = Reconnect()
        self.is_idle = asyncio.Event()
        """Set while nothing runs and nothing is left to be written."""

    @property
    def expected_count(self) -> int:
        """How many jobs steps in flight may bring."""
        return self._expected

    @property
    def running_count(self) -> int:
        """How many jobs are being run."""
        return len(self._running)

    def running_jobs(self) -> list[RunningJob]:
        """Return the jobs that are being run; may be called from any thread."""
        return list(self._running.values())

    @property
    def has_nothing_to_lose(self) -> bool:
        """Whether no job runs and no result waits to be written."""
        return not (self._running or self._ended or self._writing or self.hooks.running_count)

    def lanes(self) -> list[Coroutine[None, None, None]]:
        """What steps until it is cancelled, each to be run as a task.

        Not gathered into one: a group passes its own cancellation on once, and once is not enough.
        """
        return [self._run_lane(stepper) for stepper in self._steppers]

    async def _run_lane(self, stepper: Stepper) -> None:
        with self._keeper.watching(stepper.transfer):
            while True:
                await self._wake_up()
                step = self._begin_step(stepper)
                while step is not None:
                    step = await self._go_on_from(step)
                # The other lane's step may bring jobs.
                if self.has_nothing_to_lose and not self._in_flight:
                    self.is_idle.set()

    def on_work(self) -> None:
        """There may be work."""
        if self._free() <= 0 or self._is_draining or self.is_paused:
            self._pass_on()
        self.look()

    def look(self) -> None:
        """Take jobs as soon as there is room for them."""
        if self._is_limited:
            self._due_timer.set(LIMITED_LOOK_MS)
            return
        self._may_have_work = True
        self._wake.set()

    def on_due(self, due_ms: float) -> None:
        """A delayed job is due at a time of the server's clock."""
        self._due_timer.set(self._server_time.ms_until(due_ms))

    def drain(self) -> None:
        """Take no more jobs."""
        self._is_draining = True
        self._wake.set()

    def cancel_running(self) -> None:
        """Cancel every running job and hook; jobs that end in time go back to the queue."""
        self._is_cancelling = True
        self.isolation.cancel()
        for job in list(self._running.values()):
            job.cancel(CancelReason.STOPPING)
        self.hooks.cancel()

    def give_back_running(self) -> None:
        """Put the jobs back whose handlers do not end although they were cancelled."""
        for job in list(self._running.values()):
            log.error("job.ignores_cancellation %s", self._log.subject(job))
            job.hold.is_lost = True
            job.cancelled_for = CancelReason.ABANDONED
            self.end(job, GivenBack())

    def abandon_overdue(self) -> None:
        """Fail the jobs whose handlers went on long after they were timed out."""
        now = self._loop.time()
        self.isolation.go_on()
        for job in list(self._running.values()):
            if job.deadline is None or now <= job.deadline:
                continue
            # Counted from the first look: while the loop is blocked, nobody can end in time.
            if job.overdue_since is None:
                job.overdue_since = now
            elif now > job.overdue_since + OVERTIME_S:
                job.hold.is_lost = True
                log.error("job.ignores_timeout %s", self._log.subject(job))
                job.cancel(CancelReason.ABANDONED)
                reason = "timed out, and the handler did not end when it was cancelled"
                self.end(job, Failed(reason, reason, TimeoutError(reason)))

    def _has_something_to_do(self) -> bool:
        return bool(self._ended) or (self._may_have_work and self._take_count() > 0)

    def _free(self) -> int:
        return self._concurrency - len(self._running) - self._expected

    def _take_count(self) -> int:
        if self._is_draining or self.is_paused or self.isolation.job is not None:
            return 0
        return max(0, min(self._free(), self._batch))

    async def _wake_up(self) -> None:
        if not self._has_something_to_do():
            await self._wake.wait()
        self._wake.clear()
        self.is_idle.clear()

    def _begin_step(self, stepper: Stepper) -> SentStep | None:
        """Send a lane's next step, if there is anything to end or to take."""
        if not self._has_something_to_do():
            return None
        most = self._batch if len(self._steppers) > 1 else MAX_BATCH
        ended = [self._ended.popleft() for _ in range(min(len(self._ended), most))]
        written = [item for item in ended if type(item.run.outcome) is not Lost]
        count = min(self._take_count(), stepper.most_taken) if self._may_have_work else 0
        if not written and not count:
            return self._begin_step(stepper)
        # What is heard of while the step is under way counts for the next one.
        self._may_have_work = False
        self._in_flight += 1
        self._writing += len(written)
        self._expected += count
        started_at = time.monotonic()
        reply = Begun(stepper.step([item.run for item in written], count, started_at))
        return SentStep(stepper, written, count, started_at, reply)

    async def _go_on_from(self, step: SentStep) -> SentStep | None:
        """Wait for a step's reply; send the lane's next step, and then run what this one took."""
        taken: Sequence[TakenJob] = ()
        try:
            reply = await step.reply
        except ScriptFailed as error:
            self._expected -= step.count
            await self._recover_from(error, step)
            self._may_have_work = True
        else:
            taken = reply.taken
            self._expected += len(taken) - step.count
            self._trouble.reset()
            self._settle_all(step.written, reply.codes)
            self._note(reply, step)
        self._in_flight -= 1
        self._writing -= len(step.written)
        locked_since = step.stepper.locked_since(step.started_at)  # before the next one is sent
        following = self._begin_step(step.stepper)
        self._expected -= len(taken)
        self.launch_all(taken, locked_since)
        self.isolation.go_on()
        return following

    async def _recover_from(self, error: ScriptFailed, step: SentStep) -> None:
        if self._trouble.is_first:
            log.error("worker.step_failed queue=%s: %s", self._keys.queue, error)
            self.hooks.trouble(error)
        by_run = {id(item.run): item for item in step.written}
        for run, code in await step.stepper.end_one_by_one([item.run for item in step.written]):
            self._settle_all([by_run.pop(id(run))], [code])
        for item in by_run.values():
            # Its lock must run out: only then is the job recovered as stalled.
            self.release([item.job.hold])
        await self._trouble.wait()

    def _note(self, reply: StepReply, step: SentStep) -> None:
        """Take note of how the queue stands after a step."""
        self._server_time.note(reply.now_ms)
        self._log.dropped(reply.dropped)
        self._is_limited = reply.limited_ms > 0
        # A repeated step is answered from memory, without the jobs whose locks ran out since.
        has_more = step.count in (0, len(reply.taken)) or reply.is_full
        if has_more or step.stepper.has_repeated:
            self._may_have_work = True
        else:
            self._arm()
            if reply.limited_ms:
                self._due_timer.set(min(reply.limited_ms, MAX_LIMITED_S * 1_000))
            elif reply.next_due_ms is not None:
                # The reply's own time bounds the estimate, should the server's clock have been set.
                least_ms = reply.next_due_ms - reply.now_ms - 1
                self._due_timer.set(max(least_ms, self._server_time.ms_until(reply.next_due_ms)))

    def launch_all(self, taken_jobs: Sequence[TakenJob], locked_since: float) -> None:
        """Run jobs that were taken and whose locks count from a monotonic time."""
        queue, expires_at = self._keys.queue, self._keeper.expiry_from(locked_since)
        jobs = []
        for taken in taken_jobs:
            hold = Hold(
                queue, taken.job_id, taken.token, expires_at,
                self._on_lost, self._on_cancel, self._keeper.kept_until,
            )  # fmt: skip
            jobs.append(RunningJob(taken, hold))
        # The worker stops, or the reply took longer than the locks could be kept.
        if self._is_cancelling or time.monotonic() >= expires_at:
            self._ended += [EndedJob(self._executor.ended(job, GivenBack()), job) for job in jobs]
            return
        self._keeper.keep(self._keys, [job.hold for job in jobs])
        self._log.started(jobs)
        for job in jobs:
            self._running[job.hold] = job
            if ALONE_MARK in job.taken.fields:
                self.isolation.add(job)
                continue
            # Not in a TaskGroup: a handler that ignores its cancellation must not keep the worker
            # from stopping. The running jobs own the task.
            job.task = self.start(self.run(job))

    def let_go(self, job: RunningJob) -> None:
        """Forget a job that the supervisor has taken over."""
        self.release([self._running.pop(job.hold).hold])
        self.look()

    def release(self, holds: Sequence[Hold]) -> None:
        """Stop renewing the locks of jobs that have ended or are not ours any more."""
        self._keeper.release(self._keys, holds)
        self.isolation.note_released(holds)

    def start(self, running: Coroutine[None, None, None]) -> asyncio.Task[None]:
        """Start the task of a job."""
        if self._loop.get_task_factory() is not None:
            return self._loop.create_task(running)
        # With a name: the loop makes one up for each task, which takes longer than the rest.
        return asyncio.Task(running, loop=self._loop, name="oxcart-job")

    async def run(self, job: RunningJob) -> None:
        """Run a job; this is the whole of its task."""
        try:
            run = await self._executor.run(job)
        # Nothing should end here; if it does, the job is recovered as stalled.
        except BaseException:
            log.exception("job.run_broke %s", self._log.subject(job))
            run = self._executor.ended(job, Lost())
        if job.hold in self._running:  # else given back or abandoned meanwhile
            self._finish(job, run)

    def _on_lost(self, hold: Hold) -> None:
        """Cancel a job that is no longer ours; called from the lock keeper's thread."""
        self._loop.call_soon_threadsafe(self._cancel, hold, CancelReason.LOST)

    def _on_cancel(self, hold: Hold, reason: str) -> None:
        """Cancel a job because somebody asked for it; called from the lock keeper's thread."""
        self._loop.call_soon_threadsafe(self._cancel, hold, CancelReason.CANCELLED, reason)

    def _cancel(self, hold: Hold, why: CancelReason, text: str | None = None) -> None:
        job = self._running.get(hold)
        if job is not None:
            job.cancel(why, text)

    def end(self, job: RunningJob, outcome: Outcome) -> None:
        """End a job in place of its handler."""
        self._finish(job, self._executor.ended(job, outcome))

    def _finish(self, job: RunningJob, run: EndedRun) -> None:
        self._running.pop(job.hold, None)
        self.isolation.note_finished(job)
        # Large payloads that live on until the step is answered keep the garbage collector busy.
        job.task = None
        if type(run.outcome) is not Completed:
            job.ended_at = time.monotonic()
        else:
            if self._log.shows_completed or self.hooks.wants_completed:
                self._log.note_completed(job)
            if not self.hooks.wants_completed:
                job.record = job.context = None
        self._ended.append(EndedJob(run, job))
        self._wake.set()
        if type(run.outcome) is Lost:
            self.release([job.hold])
            log.warning("job.lock_lost %s", self._log.subject(job))

    def _settle_all(self, items: Sequence[EndedJob], codes: Sequence[int]) -> None:
        """Take note of what the server said to ended runs."""
        settled = []
        for item, code in zip(items, codes, strict=True):
            if code in UNDECIDED:
                # Nothing was written: the job is still ours, and ends in another way.
                item.job.ended_at = time.monotonic()
                self._ended.append(EndedJob(self._executor.reconsider(item.job, code), item.job))
                continue
            settled.append(item.job.hold)
            if code != 0 or type(item.run.outcome) is not Completed or item.job.ended_at:
                self._settle(item, code)
        self.release(settled)

    def _settle(self, item: EndedJob, code: int) -> None:
        job, outcome = item.job, item.run.outcome
        if self._log.written(job, outcome, code):
            self.hooks.ended(job, outcome)

    def _on_due_timer(self) -> None:
        self._may_have_work = True
        for stepper in self._steppers:
            stepper.expect_due()
        self._wake.set()
