"""The loop of a worker: one step after another, each ending what is over and taking what fits.

There is one step in flight at a time. Jobs that end meanwhile pile up and go out with the next
step: at low load a job's end goes out at once, at high load batches grow by themselves.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from oxcart._engine.executor import NOTHING_TO_WAIT_FOR, CancelReason, Executor, RunningJob
from oxcart._engine.handler import FailedJob, OnFailure
from oxcart._engine.hold import Hold
from oxcart._engine.lock_keeper import LockKeeper
from oxcart._engine.reconnect import Reconnect
from oxcart._engine.stepper import Stepper
from oxcart._model.outcome import Failed, GivenBack, Lost, Outcome, Retried
from oxcart._store.calls.stepping import EndedRun, StepReply, TakenJob
from oxcart._wire.codes import Code
from oxcart._wire.keys import QueueKeys
from oxcart.errors import ScriptFailed

log = logging.getLogger("oxcart.worker")

MAX_BATCH = 500
"""How many runs a step ends, and how many jobs it takes, at the most."""
UNDECIDED = frozenset({NOTHING_TO_WAIT_FOR, Code.PENDING_CHILDREN, Code.FAILED_CHILDREN})
"""Answers to an outcome that the job's children do not allow."""
MAX_LIMITED_S = 5.0
"""How long a rate limit is waited for before it is looked at again: it may have been lifted."""
LIMITED_LOOK_MS = 250.0
"""How soon a marker is answered while a rate limit holds jobs back: most are for added jobs."""
OVERTIME_S = 5.0
"""How long a handler may go on after it was cancelled before its place is given away."""
DUE_SLACK_S = 0.001


@dataclass(slots=True)
class _Ended:
    run: EndedRun
    job: RunningJob


class Fetcher:
    """Keeps a worker's places filled.

    All state is owned by the event loop.

    Args:
        stepper: sends the steps.
        executor: runs the jobs.
        keeper: renews their locks.
        keys: the queue.
        concurrency: how many jobs run at a time.
        arm: makes the waiter wait for the next marker.
        pass_on: puts a marker back that this worker cannot use.
    """

    def __init__(
        self,
        stepper: Stepper,
        executor: Executor,
        keeper: LockKeeper,
        keys: QueueKeys,
        *,
        concurrency: int,
        arm: Callable[[], None],
        pass_on: Callable[[], None],
    ) -> None:
        self._stepper = stepper
        self._executor = executor
        self._keeper = keeper
        self._keys = keys
        self._concurrency = concurrency
        self._arm = arm
        self._pass_on = pass_on
        self._loop = asyncio.get_running_loop()
        self._running: set[RunningJob] = set()
        self._hooks: set[asyncio.Task[None]] = set()
        self._ended: deque[_Ended] = deque()
        self._wake = asyncio.Event()
        self._may_have_work = True
        self._is_limited = False
        self._is_draining = False
        self._is_cancelling = False
        self._writing = 0
        self._due_timer: asyncio.TimerHandle | None = None
        self._server_offset_ms = 0.0
        self._trouble = Reconnect()
        self.is_idle = asyncio.Event()
        """Set while nothing runs and nothing is left to be written."""

    @property
    def running_count(self) -> int:
        """How many jobs are being run."""
        return len(self._running)

    @property
    def has_nothing_to_lose(self) -> bool:
        """Whether no job runs and no result waits to be written."""
        return not (self._running or self._ended or self._writing or self._hooks)

    async def run(self) -> None:
        """Step until cancelled."""
        while True:
            await self._wake_up()
            while self._has_something_to_do():
                await self._step()
            if not (self._running or self._ended or self._hooks):
                self.is_idle.set()

    def on_work(self) -> None:
        """There may be work."""
        if self._free() <= 0 or self._is_draining:
            self._pass_on()
        if self._is_limited:
            self._set_due_timer(LIMITED_LOOK_MS)
            return
        self._may_have_work = True
        self._wake.set()

    def on_due(self, due_ms: float) -> None:
        """A delayed job is due at a time of the server's clock."""
        self._set_due_timer(due_ms - self._server_now_ms())

    def drain(self) -> None:
        """Take no more jobs."""
        self._is_draining = True
        self._wake.set()

    def cancel_running(self) -> None:
        """Cancel every running job and hook; jobs that end in time go back to the queue."""
        self._is_cancelling = True
        for job in list(self._running):
            job.cancel(CancelReason.STOPPING)
        for hook in list(self._hooks):
            hook.cancel()

    def give_back_running(self) -> None:
        """Put the jobs back whose handlers do not end although they were cancelled."""
        for job in list(self._running):
            log.error("job.ignores_cancellation %s", self._describe(job))
            job.hold.is_lost = True
            job.cancelled_for = CancelReason.ABANDONED
            self._end(job, GivenBack())

    def abandon_overdue(self) -> None:
        """Fail the jobs whose handlers went on long after they were timed out."""
        now = self._loop.time()
        for job in list(self._running):
            if job.deadline is None or now <= job.deadline:
                continue
            # Counted from the first look: while the loop is blocked, nobody can end in time.
            if job.overdue_since is None:
                job.overdue_since = now
            elif now > job.overdue_since + OVERTIME_S:
                job.hold.is_lost = True
                log.error("job.ignores_timeout %s", self._describe(job))
                job.cancel(CancelReason.ABANDONED)
                reason = "timed out, and the handler did not end when it was cancelled"
                self._end(job, Failed(reason, reason))

    def _has_something_to_do(self) -> bool:
        return bool(self._ended) or (self._may_have_work and self._take_count() > 0)

    def _free(self) -> int:
        return self._concurrency - len(self._running)

    def _take_count(self) -> int:
        return 0 if self._is_draining else min(self._free(), MAX_BATCH)

    async def _wake_up(self) -> None:
        if not self._has_something_to_do():
            await self._wake.wait()
        self._wake.clear()
        self.is_idle.clear()

    async def _step(self) -> None:
        ended = [self._ended.popleft() for _ in range(min(len(self._ended), MAX_BATCH))]
        written = [item for item in ended if not isinstance(item.run.outcome, Lost)]
        count = self._take_count()
        if not written and not count:
            return
        # What is heard of while the step is under way counts for the next one.
        self._may_have_work = False
        self._writing = len(written)
        started_at = time.monotonic()
        try:
            reply = await self._stepper.step([item.run for item in written], count)
        except ScriptFailed as error:
            await self._recover_from(error, written)
            self._writing = 0
            self._may_have_work = True
            return
        self._writing = 0
        self._trouble.reset()
        for item, code in zip(written, reply.codes, strict=True):
            self._settle(item, code)
        self._start(reply, count, started_at)

    async def _recover_from(self, error: ScriptFailed, written: list[_Ended]) -> None:
        if self._trouble.is_first:
            log.error("worker.step_failed queue=%s: %s", self._keys.queue, error)
        by_run = {id(item.run): item for item in written}
        for run, code in await self._stepper.end_one_by_one([item.run for item in written]):
            self._settle(by_run.pop(id(run)), code)
        for item in by_run.values():
            # Its lock must run out: only then is the job recovered as stalled.
            self._keeper.release(self._keys, item.job.hold)
        await self._trouble.wait()

    def _start(self, reply: StepReply, count: int, started_at: float) -> None:
        self._server_offset_ms = reply.now_ms - time.monotonic() * 1_000
        for job_id in reply.dropped:
            log.error("job.dropped queue=%s job_id=%s: it has no data", self._keys.queue, job_id)
        for taken in reply.taken:
            self._launch(taken, started_at)
        self._is_limited = reply.limited_ms > 0
        # A repeated step is answered from memory, without the jobs whose locks ran out since.
        if count == 0 or len(reply.taken) == count or self._stepper.has_repeated:
            self._may_have_work = True
        else:
            self._arm()
            if reply.limited_ms:
                self._set_due_timer(min(reply.limited_ms, MAX_LIMITED_S * 1_000))
            elif reply.next_due_ms is not None:
                self._set_due_timer(reply.next_due_ms - reply.now_ms)

    def _launch(self, taken: TakenJob, started_at: float) -> None:
        expires_at = self._keeper.expiry_from(started_at)
        hold = Hold(self._keys.queue, taken.job_id, taken.token, expires_at, lambda _: None)
        job = RunningJob(taken, hold)
        # The worker stops, or the reply took longer than the lock lasts.
        if self._is_cancelling or not hold.is_valid:
            self._ended.append(_Ended(self._executor.ended(job, GivenBack()), job))
            return
        hold.on_lost = lambda _: _cancel_soon(self._loop, job, CancelReason.LOST)
        hold.on_cancel = lambda reason: _cancel_soon(
            self._loop, job, CancelReason.CANCELLED, reason
        )
        self._keeper.keep(self._keys, hold)
        self._running.add(job)
        # Not in a TaskGroup: a handler that ignores its cancellation must not keep the worker from
        # stopping. The set of running jobs owns the task.
        job.task = self._loop.create_task(self._executor.run(job))
        job.task.add_done_callback(lambda task: self._task_done(job, task))

    def _task_done(self, job: RunningJob, task: asyncio.Task[EndedRun]) -> None:
        if job not in self._running:  # given back or abandoned meanwhile
            return
        if task.cancelled():  # before it had begun
            self._end(job, _outcome_of_unbegun(job))
        elif (error := task.exception()) is not None:
            log.error("job.run_broke %s", self._describe(job), exc_info=error)
            self._end(job, Lost())
        else:
            self._finish(job, task.result())

    def _end(self, job: RunningJob, outcome: Outcome) -> None:
        self._finish(job, self._executor.ended(job, outcome))

    def _finish(self, job: RunningJob, run: EndedRun) -> None:
        self._running.discard(job)
        self._ended.append(_Ended(run, job))
        self._wake.set()
        if isinstance(run.outcome, Lost):
            self._keeper.release(self._keys, job.hold)
            log.warning("job.lock_lost %s", self._describe(job))

    def _settle(self, item: _Ended, code: int) -> None:
        """Take note of what the server said to an ended run."""
        job, outcome = item.job, item.run.outcome
        if code in UNDECIDED:
            # Nothing was written: the job is still ours, and ends in another way.
            self._ended.append(_Ended(self._executor.reconsider(job, code), job))
            return
        self._keeper.release(self._keys, job.hold)
        if code == Code.WRONG_TYPE:
            log.error(
                "job.not_finished %s: a key of its parent's queue holds something else than it "
                "should; it is recovered as stalled and run again",
                self._describe(job),
            )
            return
        if code < 0:
            log.warning("job.not_ours_any_more %s code=%d", self._describe(job), code)
            return
        _log_outcome(self._describe(job), outcome)
        hook = job.handler.on_failure if job.handler else None
        if isinstance(outcome, Failed) and hook is not None:
            task = self._loop.create_task(self._run_hook(hook, job, outcome.reason))
            self._hooks.add(task)
            task.add_done_callback(self._hook_done)

    async def _run_hook(self, hook: OnFailure, job: RunningJob, reason: str) -> None:
        record = job.record
        if record is None:
            return
        failed = FailedJob(
            id=record.id,
            name=record.name,
            queue=self._keys.queue,
            data=None if record.corruption else record.data,
            reason=reason,
        )
        try:
            await hook(failed)
        # A hook is the user's code: what it raises must not stop the worker.
        except asyncio.CancelledError:
            raise
        except BaseException:
            log.exception("job.on_failure_hook_failed %s", self._describe(job))

    def _hook_done(self, task: asyncio.Task[None]) -> None:
        self._hooks.discard(task)
        self._wake.set()

    def _set_due_timer(self, in_ms: float) -> None:
        """Look for work when the next delayed job is due: the server's blocks end coarsely."""
        when = self._loop.time() + max(0.0, in_ms) / 1_000 + DUE_SLACK_S
        timer = self._due_timer
        if timer is not None and not timer.cancelled():
            if self._loop.time() < timer.when() <= when:
                return
            timer.cancel()
        self._due_timer = self._loop.call_at(when, self._on_due_timer)

    def _on_due_timer(self) -> None:
        self._due_timer = None
        self._may_have_work = True
        self._wake.set()

    def _server_now_ms(self) -> float:
        return time.monotonic() * 1_000 + self._server_offset_ms

    def _describe(self, job: RunningJob) -> str:
        name = job.record.name if job.record else "?"
        return f"queue={self._keys.queue} job_id={job.taken.job_id} name={name}"


def _outcome_of_unbegun(job: RunningJob) -> Outcome:
    """What becomes of a job whose run was cancelled before it had begun."""
    # One that somebody cancelled is failed by whoever takes it next: a scheduler's job needs its
    # successor first.
    if job.cancelled_for in (CancelReason.STOPPING, CancelReason.CANCELLED):
        return GivenBack()
    return Lost()


def _cancel_soon(
    loop: asyncio.AbstractEventLoop, job: RunningJob, why: CancelReason, text: str | None = None
) -> None:
    """Cancel a job from the lock keeper's thread."""
    loop.call_soon_threadsafe(job.cancel, why, text)


def _log_outcome(subject: str, outcome: Outcome) -> None:
    match outcome:
        case Failed(reason=reason):
            log.error("job.failed %s: %s", subject, reason)
        case Retried(reason=reason, delay_ms=delay_ms):
            log.warning("job.retried %s delay_ms=%d: %s", subject, delay_ms, reason)
        case _:
            log.debug("job.ended %s outcome=%s", subject, type(outcome).__name__)
