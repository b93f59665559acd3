"""The health report.

*Decision.* The database down is *unhealthy* (503): no route works without it. Redis, or SQS, down
is *degraded* (200), although the queues' own check then says ``unhealthy``: the API goes on working
without it (exports are taken in and wait, e-mails are sent by the caller), so a load balancer or
an orchestrator that acts on the status must not take every API process away at the moment when it
is the part that still works. Whatever is wrong with a queue (``oxcart.queue_status``) is *degraded*
as well, such as more than ten jobs that failed lately.

Anyone may ask, so the report says nothing that an outsider may not know: fixed sentences, no
addresses and no error texts. Checks run at the same time, each at most ``CHECK_SECONDS``; a report
is good for ``FRESH_SECONDS``, so that many probes cost as much as one.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal

from oxcart.http.fresh import Fresh
from oxcart.operations import BROKER_NAMES, get_all_queue_status
from oxcart.queue_status import ProblemKind

if TYPE_CHECKING:
    from oxcart.system import System

log = logging.getLogger("oxcart.http")

CHECK_SECONDS = 2.0
FRESH_SECONDS = 1.0

SENTENCES = {
    ProblemKind.PAUSED: "paused",
    ProblemKind.NO_WORKER: "jobs are ready and no worker is connected in",
    ProblemKind.UNKNOWN_NAME: "no live worker knows some of the jobs in",
    ProblemKind.WORKERS_PAUSED: "workers take no jobs for now of",
    ProblemKind.LONG_WAIT: "jobs have been ready for long in",
    ProblemKind.NO_LOCK: "workers died with jobs of",
    ProblemKind.FAILURES: "many failed jobs in",
}
"""What anyone may know of a problem; the queues' names follow."""

Status = Literal["healthy", "degraded", "unhealthy"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """What one check found."""

    status: Status
    error: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthReport:
    """What the checks found, and when."""

    database: Check
    queues: Check
    checked_at: datetime

    @property
    def status(self) -> Status:
        """The whole system's status; see the module's decision."""
        if self.database.status == "unhealthy":
            return "unhealthy"
        if self.queues.status == self.database.status == "healthy":
            return "healthy"
        return "degraded"


class HealthProbe:
    """Checks the database and the queues.

    Args:
        system: what is checked.
        monotonic: the clock that tells how old a report is.
    """

    def __init__(self, system: System, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._system = system
        self._report = Fresh(self._check_all, fresh_seconds=FRESH_SECONDS, monotonic=monotonic)

    async def report(self) -> HealthReport:
        """A report that is at most ``FRESH_SECONDS`` old."""
        return await self._report.get()

    async def _check_all(self) -> HealthReport:
        async with asyncio.TaskGroup() as tasks:
            database = tasks.create_task(_bounded("database", self._check_database))
            queues = tasks.create_task(_bounded("queues", self._check_queues))
        return HealthReport(
            database=database.result(), queues=queues.result(), checked_at=datetime.now(UTC)
        )

    async def _check_database(self) -> Check:
        await self._system.database.ping()
        return Check(status="healthy")

    async def _check_queues(self) -> Check:
        status = await get_all_queue_status(self._system.app)
        if not status.is_connected:
            where = BROKER_NAMES[status.broker]
            return Check(status="unhealthy", error=f"{where} does not answer")
        queues_by_kind: dict[ProblemKind, list[str]] = {}
        for queue in status.queues:
            for problem in queue.problems:
                queues_by_kind.setdefault(problem.kind, []).append(queue.name)
        if queues_by_kind:
            sentences = [
                f"{SENTENCES[kind]}: {', '.join(names)}" for kind, names in queues_by_kind.items()
            ]
            return Check(status="degraded", error="; ".join(sentences))
        return Check(status="healthy")


async def _bounded(what: str, check: Callable[[], Awaitable[Check]]) -> Check:
    """Run one check; whatever goes wrong in it is its finding and never the report's end."""
    try:
        async with asyncio.timeout(CHECK_SECONDS):
            return await check()
    except TimeoutError:
        return Check(status="unhealthy", error=f"no answer within {CHECK_SECONDS:.0f} s")
    except Exception as error:  # noqa: BLE001  # a failing dependency is what a health check is for
        log.warning("http.check_failed", extra={"check": what, "cause": type(error).__name__})
        return Check(status="unhealthy", error=f"the check of the {what} failed")
