"""Making the next jobs of schedulers whose chain has broken off, for the whole fleet."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from random import random as _random

from oxcart._engine.iterations import IterationMaker, due_after, is_over
from oxcart._model.clock import Clock
from oxcart._store.calls.scheduling import (
    Next,
    Overdue,
    SchedulerCheck,
    find_overdue_schedulers,
)
from oxcart._store.store import Store
from oxcart._wire.keys import QueueKeys
from oxcart._wire.options_codec import decode_options
from oxcart._wire.schedule_codec import Repeat, read_repeat, repeat_of_definition
from oxcart.errors import ConfigError, StoreError, StoreUnavailable

log = logging.getLogger("oxcart.schedulers")

CHECK_S = 1.0
"""How often a queue with schedulers is checked, by the fleet and by each of its workers."""
IDLE_CHECK_S = 5.0
"""How soon a worker looks again at a queue without schedulers."""
GRACE_MS = 500
"""How long the worker that took a job has for making the next one."""
MOST = 200
"""How many schedulers one check looks at, the latest first."""
JITTER = 0.2
"""Share by which waits differ, so that not always the same worker of a fleet looks first."""


class ScheduleChecker:
    """Makes the next job where the worker that took the pending one cannot (wire format, 11.3).

    The next job is made when the pending one is taken: by the step, or by the worker before it runs
    the job. A worker that dies in between, whichever program it is, would stop the schedule until
    the job is recovered as stalled; one without time-zone data cannot make it.

    A second purpose: the check reports when the next delayed job is due. Only one worker is woken
    for that by the marker, and that one may die before.

    Every worker runs one; a guard in Redis lets one of them look at the schedulers in an interval.

    Args:
        store: the server.
        keys: the queue.
        clock: what the time is.
        iterations: makes the next jobs.
        on_due: called with the time at which the next delayed job is due.
        random: gives a number in [0, 1).
    """

    def __init__(
        self,
        store: Store,
        keys: QueueKeys,
        clock: Clock,
        iterations: IterationMaker,
        *,
        on_due: Callable[[float], None],
        random: Callable[[], float] = _random,
    ) -> None:
        self._store = store
        self._keys = keys
        self._clock = clock
        self._iterations = iterations
        self._on_due = on_due
        self._random = random
        self._is_failing = False

    async def run(self) -> None:
        """Check until cancelled. A check that fails is left to the next one."""
        wait_s = CHECK_S
        while True:
            await asyncio.sleep(wait_s * (1 + JITTER * (2 * self._random() - 1)))
            wait_s = CHECK_S if await self.check() else IDLE_CHECK_S

    async def check(self) -> bool:
        """Run one check; returns whether the queue has schedulers."""
        try:
            found = await self._look()
            for overdue in found.overdue:
                await self._make_next(overdue, found.now_ms)
        except StoreUnavailable as error:
            log.debug("scheduler.check_failed queue=%s: %s", self._keys.queue, error)
            return False
        except StoreError as error:
            if not self._is_failing:
                log.warning("scheduler.check_failed queue=%s: %s", self._keys.queue, error)
            self._is_failing = True
            return False
        self._is_failing = False
        return found.has_schedulers

    async def _look(self) -> SchedulerCheck:
        found = await self._store.run(
            find_overdue_schedulers(
                self._keys,
                interval_ms=round(CHECK_S * 1_000),
                grace_ms=GRACE_MS,
                limit=MOST,
                clock=self._clock,
            )
        )
        if found.next_due_ms is not None:
            self._on_due(found.next_due_ms)
        return found

    async def _make_next(self, overdue: Overdue, now_ms: int) -> None:
        taken_id = f"repeat:{overdue.id}:{overdue.slot_ms}"
        try:
            repeat = _repeat_of(overdue)
            if is_over(repeat, now_ms):
                return
            due_ms = due_after(repeat, now_ms)
        except ConfigError as error:  # logged as an error by the worker that runs the job
            log.debug("scheduler.not_resumed %s: %s", self._about(taken_id, overdue), error)
            return
        if repeat.schedule.pattern is not None and due_ms is None:
            return
        options, _ = decode_options(overdue.options or overdue.definition.get(b"opts", b""))
        call = self._iterations.call(overdue.id, taken_id, repeat, due_ms=due_ms, options=options)
        if await self._store.run(call) is Next.MADE:
            log.warning(
                "scheduler.resumed %s: the worker that took the job did not make the next one",
                self._about(taken_id, overdue),
            )

    def _about(self, taken_id: str, overdue: Overdue) -> str:
        return f"queue={self._keys.queue} scheduler_id={overdue.id} job_id={taken_id}"


def _repeat_of(overdue: Overdue) -> Repeat:
    """What the pending job says of the schedule, or must have said.

    Raises:
        ConfigError: that cannot be read.
    """
    if overdue.options:
        return read_repeat(overdue.options)
    return repeat_of_definition(overdue.id, overdue.slot_ms, overdue.definition)
