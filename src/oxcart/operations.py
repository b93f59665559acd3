"""What operators ask and do: the queues' health, cleaning up, retrying what failed."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

from oxcart._model.duration import Duration
from oxcart._model.job import JobCounts
from oxcart._model.registry import WorkerRecord
from oxcart._model.states import JobState
from oxcart.app import App
from oxcart.errors import QueueNotFound, StoreError, StoreUnavailable
from oxcart.exports.jobs import QUEUE as EXPORT_QUEUE
from oxcart.mail.jobs import QUEUE as EMAIL_QUEUE
from oxcart.queue import Queue
from oxcart.queue_status import LATELY_MINUTES, LiveWorker, QueueStatus
from oxcart.settings import Settings
from oxcart.sqs.broker import built_in_broker

QUEUES = (EMAIL_QUEUE, EXPORT_QUEUE)
BROKER_NAMES = {"redis": "Redis", "sqs": "SQS"}
"""What people call the places where jobs wait."""
CLEAN_LIMIT = 10_000
"""How many jobs of a state one clean-up removes at the most."""

Health = Literal["healthy", "degraded", "unhealthy"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemStatus:
    """How the queues are.

    Attributes:
        overall_status: unhealthy if where the jobs wait cannot be reached, degraded when something
            is wrong with a queue.
        is_connected: whether that answered.
        queues: each queue; none if it did not.
        timestamp: when this was found.
        broker: where the jobs wait: ``redis`` or ``sqs``.
        url: the URL of Redis without its password; ``None`` if it is not known.
        error: why it could not be reached; ``None`` if it answered.
    """

    overall_status: Health
    is_connected: bool
    queues: tuple[QueueStatus, ...]
    timestamp: datetime
    broker: str = "redis"
    url: str | None = None
    error: str | None = None

    def as_dict(self) -> dict[str, object]:
        """The status with the names that the old system's callers know, and further ones.

        Of jobs in SQS it has ``sqsConnected`` instead of ``redisConnected``, and so on.
        """
        return {
            "overallStatus": self.overall_status,
            f"{self.broker}Connected": self.is_connected,
            f"{self.broker}Url": self.url,
            f"{self.broker}Error": self.error,
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
            found = [await _status_of(queue) for queue in asked]
        except StoreError as error:
            return SystemStatus(
                overall_status="unhealthy",
                is_connected=False,
                queues=(),
                timestamp=now,
                broker=broker,
                url=_url_of(asked),
                error=_without_call(error),
            )
        is_healthy = all(queue.is_healthy for queue in found)
        return SystemStatus(
            overall_status="healthy" if is_healthy else "degraded",
            is_connected=True,
            queues=tuple(found),
            timestamp=now,
            broker=broker,
            url=_url_of(asked),
        )


async def cleanup_old_jobs(
    app: App | None = None,
    *,
    queues: Sequence[str] = QUEUES,
    completed_age: Duration = "1d",
    failed_age: Duration = "7d",
) -> CleanReport:
    """Remove old finished jobs: by default those completed over a day or failed over a week ago.

    One call removes at most 10,000 jobs of each state of each queue.

    Args:
        app: whose queues; without it the environment's settings say.
        queues: which; the built-in ones by default.
        completed_age: how long ago jobs must have completed.
        failed_age: how long ago jobs must have failed.

    Raises:
        QueueNotFound: one of the queues does not exist; nothing was removed.
        StoreUnavailable: the server cannot be reached.
    """
    completed = failed = 0
    async with _opened(app) as open_app:
        for queue in [await _existing(open_app, name) for name in queues]:
            old = await queue.clean(completed_age, limit=CLEAN_LIMIT, state=JobState.COMPLETED)
            completed += len(old)
            old = await queue.clean(failed_age, limit=CLEAN_LIMIT, state=JobState.FAILED)
            failed += len(old)
    return CleanReport(completed_count=completed, failed_count=failed)


async def retry_failed_jobs(queue: str, app: App | None = None, *, limit: int | None = None) -> int:
    """Put the failed jobs of a queue back to wait, the earliest failed first; each runs once more.

    Args:
        queue: the queue.
        app: whose queue; without it the environment's settings say.
        limit: how many at the most; default: all that are kept.

    Returns:
        How many were put back.

    Raises:
        QueueNotFound: the queue does not exist.
        StoreUnavailable: the server cannot be reached.
    """
    async with _opened(app) as open_app:
        found = await _existing(open_app, queue)
        return await found.retry_all(JobState.FAILED, count=limit)


async def retry_job(queue: str, job_id: str, app: App | None = None) -> None:
    """Put one failed job back to wait.

    Raises:
        QueueNotFound: the queue does not exist.
        JobNotFound: the job does not.
        JobNotInState: the job has not failed.
        StoreUnavailable: the server cannot be reached.
    """
    async with _opened(app) as open_app:
        await (await _existing(open_app, queue)).retry(job_id)


async def pause_queue(queue: str, app: App | None = None) -> None:
    """Stop the jobs of a queue from being taken, by any worker.

    Raises:
        QueueNotFound: the queue does not exist.
        StoreUnavailable: the server cannot be reached.
    """
    async with _opened(app) as open_app:
        await (await _existing(open_app, queue)).pause()


async def resume_queue(queue: str, app: App | None = None) -> None:
    """Let the jobs of a queue be taken again.

    Raises:
        QueueNotFound: the queue does not exist.
        StoreUnavailable: the server cannot be reached.
    """
    async with _opened(app) as open_app:
        await (await _existing(open_app, queue)).resume()


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
        return await (await _existing(open_app, queue)).get_counts()


async def _existing(app: App, name: str) -> Queue:
    """The queue of a name, if there is one.

    Raises:
        QueueNotFound: no program declares it, and nothing in Redis belongs to it.
    """
    queue = app.queue(name)
    known = sorted({*QUEUES, *(declared for declared, _ in app.registry)})
    # A queue in SQS is known by its URL: one without is refused above.
    if queue.broker == "redis" and name not in known and not await queue.exists():
        raise QueueNotFound(queue=name, known=known)
    return queue


def _url_of(queues: Sequence[Queue]) -> str | None:
    """The URL of the server of the queues; SQS has none."""
    return next((queue.server_url for queue in queues if queue.broker == "redis"), None)


async def _status_of(queue: Queue) -> QueueStatus:
    """Read how a queue is: a handful of commands, with any backlog."""
    if queue.broker == "sqs":  # which knows no more
        counts = await queue.get_counts()
        return QueueStatus(name=queue.name, counts=counts, failed_lately_count=counts.failed)
    figures = await queue.get_figures()
    anomalies = await queue.find_anomalies(failed_within=timedelta(minutes=LATELY_MINUTES))
    oldest_ms = figures.oldest_waiting_ms
    return QueueStatus(
        name=queue.name,
        counts=JobCounts(**{state.name.lower(): n for state, n in figures.counts.items()}),
        is_paused=figures.is_paused,
        oldest_waiting_s=None if oldest_ms is None else oldest_ms / 1_000,
        failed_lately_count=anomalies.failed_count,
        unlocked_count=anomalies.unlocked_count,
        waiting_names=anomalies.names,
        workers=await _live_workers(queue),
        completed_last_minute=await _last_minute(queue, JobState.COMPLETED),
        failed_last_minute=await _last_minute(queue, JobState.FAILED),
    )


async def _last_minute(queue: Queue, state: JobState) -> int | None:
    """How many jobs came to an end in the last full minute; ``None`` if they are not counted."""
    metrics = await queue.get_metrics(state, start=0, end=0)
    if not metrics.count:
        return None
    minutes_ago = int(time.time() // 60) - metrics.previous_at_ms // 60_000
    if minutes_ago == 1:  # the job that ends the minute has yet to come
        return metrics.count - metrics.previous_count
    return 0 if minutes_ago > 1 or not metrics.points else metrics.points[0]


async def _live_workers(queue: Queue) -> tuple[LiveWorker, ...] | None:
    """The live workers of a queue: those that registered, and connections without a registration.

    ``None`` if none has registered and the server does not list its connections.
    """
    registered = [
        LiveWorker(
            name=worker.record.name,
            job_names=worker.record.job_names or (),
            has_any_handler=worker.record.job_names is None,
            is_registered=True,
            paused_s=_paused_s(worker.record),
            pause_reason=worker.record.pause_reason,
        )
        for worker in await queue.get_registered_workers()
        if worker.is_alive
    ]
    try:
        connected = await queue.get_workers()
    except StoreUnavailable:
        raise
    except StoreError:
        return tuple(registered) or None
    known = {worker.name for worker in registered}
    others = [LiveWorker(name=worker.name) for worker in connected if worker.name not in known]
    return (*registered, *others)


def _paused_s(record: WorkerRecord) -> float | None:
    """For how long a worker has been paused; its clock and ours may differ."""
    if not record.paused_since_ms:
        return None
    return max(0.0, time.time() - record.paused_since_ms / 1_000)


def _without_call(error: StoreError) -> str:
    """The text of an error without the name of the call that met it."""
    call, separator, text = str(error).partition(": ")
    return text if separator and " " not in call else str(error)


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
