"""What operators ask and do: the queues' health, cleaning up, retrying what failed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from oxcart._model.job import JobCounts
from oxcart._model.states import JobState
from oxcart.app import App
from oxcart.errors import StoreError
from oxcart.exports.jobs import QUEUE as EXPORT_QUEUE
from oxcart.mail.jobs import QUEUE as EMAIL_QUEUE
from oxcart.settings import Settings
from oxcart.sqs.broker import built_in_broker

QUEUES = (EMAIL_QUEUE, EXPORT_QUEUE)
BROKER_NAMES = {"redis": "Redis", "sqs": "SQS"}
"""What people call the places where jobs wait."""
MAX_FAILED = 10
"""A queue with more failed jobs than this is degraded."""
CLEAN_LIMIT = 10_000
"""How many jobs of a state one clean-up removes at the most."""

Health = Literal["healthy", "degraded", "unhealthy"]


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueStatus:
    """How a queue is.

    Attributes:
        name: the queue.
        is_healthy: whether it has no more failed jobs than is usual.
        counts: how many jobs are in each state.
    """

    name: str
    is_healthy: bool
    counts: JobCounts

    def as_dict(self) -> dict[str, object]:
        """The status with the names that the old system's callers know."""
        return {
            "name": self.name,
            "isHealthy": self.is_healthy,
            "waitingCount": self.counts.waiting + self.counts.prioritized,
            "activeCount": self.counts.active,
            "completedCount": self.counts.completed,
            "failedCount": self.counts.failed,
            "delayedCount": self.counts.delayed,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemStatus:
    """How the queues are.

    Attributes:
        overall_status: unhealthy if where the jobs wait cannot be reached, degraded when a queue
            has many failed jobs.
        is_connected: whether that answered.
        queues: each queue; none if it did not.
        timestamp: when this was found.
        broker: where the jobs wait: ``redis`` or ``sqs``.
    """

    overall_status: Health
    is_connected: bool
    queues: tuple[QueueStatus, ...]
    timestamp: datetime
    broker: str = "redis"

    def as_dict(self) -> dict[str, object]:
        """The status with the names that the old system's callers know.

        Of jobs in SQS it says ``sqsConnected`` instead of ``redisConnected``.
        """
        return {
            "overallStatus": self.overall_status,
            f"{self.broker}Connected": self.is_connected,
            "queues": [queue.as_dict() for queue in self.queues],
            "timestamp": self.timestamp.isoformat(),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class CleanReport:
    """What a clean-up removed."""

    completed_count: int
    failed_count: int


async def get_all_queue_status(
    app: App | None = None, *, queues: Sequence[str] = QUEUES
) -> SystemStatus:
    """Find out how the queues are.

    Args:
        app: whose queues; without it the environment's settings say.
        queues: which; the built-in ones by default.
    """
    async with _opened(app) as open_app:
        now = datetime.now(UTC)
        asked = [open_app.queue(name) for name in queues]
        broker = next((queue.broker for queue in asked), "redis")
        try:
            found = [_judge(queue.name, await queue.get_counts()) for queue in asked]
        except StoreError:
            return SystemStatus(
                overall_status="unhealthy",
                is_connected=False,
                queues=(),
                timestamp=now,
                broker=broker,
            )
        is_healthy = all(queue.is_healthy for queue in found)
        return SystemStatus(
            overall_status="healthy" if is_healthy else "degraded",
            is_connected=True,
            queues=tuple(found),
            timestamp=now,
            broker=broker,
        )


async def cleanup_old_jobs(app: App | None = None) -> CleanReport:
    """Remove jobs that completed over a day ago and jobs that failed over a week ago.

    Raises:
        StoreUnavailable: the server cannot be reached.
    """
    completed = failed = 0
    async with _opened(app) as open_app:
        for name in QUEUES:
            queue = open_app.queue(name)
            old = await queue.clean("1d", limit=CLEAN_LIMIT, state=JobState.COMPLETED)
            completed += len(old)
            old = await queue.clean("7d", limit=CLEAN_LIMIT, state=JobState.FAILED)
            failed += len(old)
    return CleanReport(completed_count=completed, failed_count=failed)


async def retry_failed_jobs(queue: str, app: App | None = None) -> int:
    """Put all failed jobs of a queue back to wait.

    Returns:
        How many were put back.

    Raises:
        StoreUnavailable: the server cannot be reached.
    """
    async with _opened(app) as open_app:
        return await open_app.queue(queue).retry_all(JobState.FAILED)


async def get_waiting_count(queue: str, app: App | None = None) -> int:
    """How many jobs of a queue are ready to run, with a priority or without."""
    counts = await _counts(queue, app)
    return counts.waiting + counts.prioritized


async def get_active_count(queue: str, app: App | None = None) -> int:
    """How many jobs of a queue are being run."""
    return (await _counts(queue, app)).active


async def get_completed_count(queue: str, app: App | None = None) -> int:
    """How many completed jobs of a queue are kept."""
    return (await _counts(queue, app)).completed


async def get_failed_count(queue: str, app: App | None = None) -> int:
    """How many failed jobs of a queue are kept."""
    return (await _counts(queue, app)).failed


async def get_delayed_count(queue: str, app: App | None = None) -> int:
    """How many jobs of a queue are due later."""
    return (await _counts(queue, app)).delayed


async def _counts(queue: str, app: App | None) -> JobCounts:
    async with _opened(app) as open_app:
        return await open_app.queue(queue).get_counts()


def _judge(name: str, counts: JobCounts) -> QueueStatus:
    return QueueStatus(name=name, is_healthy=counts.failed <= MAX_FAILED, counts=counts)


@asynccontextmanager
async def _opened(app: App | None) -> AsyncIterator[App]:
    """The application given, or one made from the environment for the duration of the block."""
    if app is not None:
        yield app
        return
    settings = Settings.from_env()
    own = App(
        settings.redis_url,
        prefix=settings.prefix,
        data_dir=settings.data_dir,
        broker=built_in_broker(settings),
    )
    async with own:
        yield own
