"""Running a burst because somebody asked for it over HTTP, one at a time."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING

from oxcart.burst import Burst, BurstLimits, BurstReport
from oxcart.errors import ConfigError
from oxcart.http.problems import Kind, ProblemError
from oxcart.observe.start import observe_jobs

if TYPE_CHECKING:
    from oxcart.system import System

DEFAULT_SECONDS = 25
MAX_SECONDS = 800
"""Longer than any host lets a request take."""
MAX_JOBS = 100_000
TAKING_SHARE, GRACE_SHARE = 0.7, 0.2
"""Of the time that is asked for: how much of it jobs are started, and how much those that run then
may go on. The rest is for putting back what does not end."""


class Bursts:
    """Runs bursts of the built-in e-mails and exports.

    Args:
        system: whose jobs.
    """

    def __init__(self, system: System) -> None:
        self._system = system
        self._running = asyncio.Lock()

    async def run(self, *, max_jobs: int | None, max_seconds: int) -> BurstReport:
        """Run what is waiting, for about as long as is said.

        Args:
            max_jobs: how many jobs are started at the most.
            max_seconds: how long all of it may take.

        Raises:
            ProblemError: 409, a burst is under way, or a worker runs in this process; 400, jobs
                are not in Redis.
            StoreUnavailable: Redis does not answer.
        """
        if self._running.locked() or self._system.email_jobs.transport is not None:
            detail = "jobs are being run by this process already; try again when they are done"
            raise ProblemError(Kind.BUSY, detail, retry_after="5")
        async with self._running:
            return await self._run(max_jobs, max_seconds)

    async def _run(self, max_jobs: int | None, max_seconds: int) -> BurstReport:
        system, settings = self._system, self._system.settings
        places = settings.queue_places
        limits = BurstLimits(max_jobs=max_jobs, max_seconds=max_seconds * TAKING_SHARE)
        observe_jobs(system.app)
        try:
            burst = Burst(system.app, list(places), limits)
            worker = system.worker(
                places,
                grace=timedelta(seconds=max_seconds * GRACE_SHARE),
                middlewares=[burst.around],
            )
        except ConfigError as error:
            raise ProblemError(Kind.BAD_REQUEST, str(error)) from error
        await system.look_after_exports()
        if system.webhooks is not None:
            await system.webhooks.relay.look()
        return await burst.run(worker, system.run_worker)
