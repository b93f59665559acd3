"""Detection of a blocked event loop, from a thread that runs beside it.

Blocking code in an ``async def`` handler (``time.sleep``, a query without a driver for asyncio)
stops every other job of the process, their time-outs included. A timer on the loop notes each
second that the loop turns; the thread reports when it has not turned for some seconds: which task
runs, whose job it is, and the loop's call stack. A busy loop is slow, but turns.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from oxcart._engine.context import job_in
from oxcart._engine.running_job import CancelReason, RunningJob
from oxcart._engine.stacks import stack_of

log = logging.getLogger("oxcart.worker")

TURN_S = 1.0
LONG_TURNS = 2
"""After a turn so many times as long as it should be, jobs may have been lost meanwhile."""
"""Time between two notes of the loop, and between two looks of the thread."""
BLOCKED_S = 5.0
"""How long the loop may stand still before it is reported."""
MOST_NAMED = 20
"""How many running jobs a report names."""
NEXT_REPORT = 4.0
"""A loop that stays blocked is reported again after so many times the time of the last report."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockedLoop:
    """A loop that stands still.

    Attributes:
        blocked_s: for how long.
        stack: the loop's call stack.
        queue: of the job whose task runs, if it is a job's.
        job_id: that job.
        job_name: its name.
        timeout_s: how long that job may run.
        running_count: how many jobs run in the process.
        running: some of them, as ``queue:id``, when it is not known which one blocks.
    """

    blocked_s: float
    stack: str
    queue: str = ""
    job_id: str = ""
    job_name: str = ""
    timeout_s: float | None = None
    running_count: int = 0
    running: tuple[str, ...] = ()

    @property
    def facts(self) -> dict[str, object]:
        """The fields of a log line."""
        job = {"queue": self.queue, "job_id": self.job_id, "job_name": self.job_name}
        return {
            **(job if self.job_id else {}),
            "blocked_s": self.blocked_s,
            "running_count": self.running_count,
            **({} if self.job_id else {"running": ", ".join(self.running)}),
            "stack": self.stack,
        }


class LoopReports(Protocol):
    """Receives what a monitor sees."""

    def loop_turned(self, at: float) -> None:
        """The loop has turned, at a monotonic time; 0: it is no longer monitored."""

    def loop_blocked(self, blocked: BlockedLoop) -> None:
        """The loop stands still; called from the monitor's thread."""

    def loop_resumed(self, blocked_s: float) -> None:
        """A loop that was reported turns again; called from the monitor's thread."""


class LoggedLoopReports:
    """Logs the reports, for a process without a supervisor."""

    def loop_turned(self, _: float) -> None:
        """Do nothing."""

    def loop_blocked(self, blocked: BlockedLoop) -> None:
        """Log it as a warning."""
        log.warning("worker.loop_blocked", extra=blocked.facts)

    def loop_resumed(self, blocked_s: float) -> None:
        """Log it."""
        log.info("worker.loop_resumed", extra={"blocked_s": blocked_s})


class LoopMonitor:
    """Monitors the running event loop while at least one worker is attached.

    Workers of one loop share a monitor, so that each block is reported once.

    Args:
        loop: the running loop.
        reports: receives what is seen.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, reports: LoopReports) -> None:
        self._loop = loop
        self._reports = reports
        self._thread_id = threading.get_ident()
        self._sources: list[Callable[[], list[RunningJob]]] = []
        self._timer: asyncio.Handle | None = None
        self._turned_at = 0.0
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="oxcart-loop-monitor", daemon=True)

    @classmethod
    def attach(
        cls, running: Callable[[], list[RunningJob]], reports: LoopReports
    ) -> Callable[[], None]:
        """Monitor the running loop for a worker.

        Args:
            running: returns the worker's running jobs; called from the monitor's thread.
            reports: receives what is seen, if no worker of this loop is monitored yet.

        Returns:
            A function that detaches the worker, to be called on the loop.
        """
        loop = asyncio.get_running_loop()
        monitor = _monitors.get(loop)
        if monitor is None:
            monitor = _monitors[loop] = cls(loop, reports)
            monitor._start()
        monitor._sources.append(running)

        def detach() -> None:
            monitor._sources.remove(running)
            if not monitor._sources:
                del _monitors[loop]
                monitor._stop()

        return detach

    def _start(self) -> None:
        self._turn()
        self._thread.start()

    def _stop(self) -> None:
        self._stopping.set()
        if self._timer is not None:
            self._timer.cancel()
        self._reports.loop_turned(0.0)

    def _turn(self) -> None:
        now = time.monotonic()
        if self._turned_at and now - self._turned_at > LONG_TURNS * TURN_S:
            self._cancel_lost()
        self._turned_at = now
        self._reports.loop_turned(self._turned_at)
        self._timer = self._loop.call_later(TURN_S, self._turn)

    def _cancel_lost(self) -> None:
        """Cancel the jobs that were lost while the process stood still.

        Timers run in the order in which they are due: this one before most of the handlers', which
        would otherwise go on first, although other workers have the jobs.
        """
        for running in self._sources:
            for job in running():
                if not job.hold.is_valid:
                    job.hold.is_lost = True
                    job.cancel(CancelReason.LOST)

    def _run(self) -> None:
        blocked_s, report_at_s = 0.0, BLOCKED_S
        seen, looked_at = self._turned_at, time.monotonic()
        while not self._stopping.wait(TURN_S):
            now = time.monotonic()
            if seen != self._turned_at:
                if report_at_s > BLOCKED_S:
                    self._reports.loop_resumed(round(blocked_s, 1))
                blocked_s, report_at_s = 0.0, BLOCKED_S
            else:
                # A longer time between two looks is one in which the process itself stood still.
                blocked_s += min(now - looked_at, 2 * TURN_S)
            seen, looked_at = self._turned_at, now
            if blocked_s >= report_at_s:
                report_at_s = blocked_s * NEXT_REPORT
                self._reports.loop_blocked(self._report(blocked_s))

    def _report(self, blocked_s: float) -> BlockedLoop:
        task = asyncio.current_task(self._loop)
        stack = stack_of(self._thread_id)
        running = [job for source in list(self._sources) for job in source()]
        blocking = next((job for job in running if job.task is task), None)
        context = None if task is None else job_in(task)
        if blocking is None and context is not None:  # a task that a handler has started
            blocking = next((job for job in running if job.context is context), None)
        queue = job_id = ""
        limit_ms = None
        if blocking is not None:
            queue, job_id, context = blocking.hold.queue, blocking.taken.job_id, blocking.context
            limit_ms = None if blocking.handler is None else blocking.handler.timeout_ms
        elif context is not None:  # a run that was given up, or a hook
            queue, job_id = context.queue, context.job_id
        return BlockedLoop(
            blocked_s=round(blocked_s, 1),
            stack=stack,
            queue=queue,
            job_id=job_id,
            job_name="" if context is None else context.name,
            timeout_s=None if limit_ms is None else limit_ms / 1_000,
            running_count=len(running),
            running=() if job_id else tuple(_name(job) for job in running[:MOST_NAMED]),
        )


def _name(job: RunningJob) -> str:
    return f"{job.hold.queue}:{job.taken.job_id}"


_monitors: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, LoopMonitor] = (
    weakref.WeakKeyDictionary()
)
