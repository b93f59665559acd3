"""Timing runs out, with a timer for each length of time instead of one for each run."""

from __future__ import annotations

import asyncio

from oxcart._engine.running_job import CancelReason, RunningJob


class Deadlines:
    """The runs that have a time-out, of one event loop.

    Runs that may take equally long are over time in the order in which they began, so that only
    the first of them needs to be watched.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._runs: dict[int, dict[RunningJob, None]] = {}
        self._timers: dict[int, asyncio.TimerHandle] = {}

    def start(self, job: RunningJob, timeout_ms: int) -> None:
        """Cancel a run when its time is over, unless it is stopped before."""
        job.deadline = self._loop.time() + timeout_ms / 1_000
        self._runs.setdefault(timeout_ms, {})[job] = None
        if timeout_ms not in self._timers:
            self._watch(timeout_ms, job.deadline)

    def stop(self, job: RunningJob, timeout_ms: int) -> None:
        """A run is over."""
        self._runs[timeout_ms].pop(job, None)

    def _watch(self, timeout_ms: int, deadline: float) -> None:
        self._timers[timeout_ms] = self._loop.call_at(deadline, self._time_out, timeout_ms)

    def _time_out(self, timeout_ms: int) -> None:
        del self._timers[timeout_ms]
        runs, now = self._runs[timeout_ms], self._loop.time()
        for job in list(runs):
            if job.deadline is not None and job.deadline > now:
                self._watch(timeout_ms, job.deadline)
                return
            del runs[job]
            job.cancel(CancelReason.TIMED_OUT)
