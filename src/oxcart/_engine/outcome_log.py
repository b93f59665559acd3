"""Log lines of runs: started, completed, failed.

A failed attempt is logged with the class of its error, its number and duration, and with the error
itself: formatters show its traceback. The line is logged with the context variables of the attempt,
so that it names the job and hides the secrets of its payload.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from typing import Any

from oxcart._engine.environment import environment
from oxcart._engine.failure_hooks import variables_of
from oxcart._engine.running_job import RunningJob
from oxcart._engine.tracebacks import type_name
from oxcart._model.outcome import Completed, Failed, Outcome, Retried
from oxcart._wire.codes import Code

log = logging.getLogger("oxcart.worker")

OnWritten = Callable[[str, str, Outcome | None], None]
"""Called with the queue, the job's id and the outcome that was written, if it is not that the job
completed; without an outcome if the job had no data and was taken off the queue."""


class OutcomeLog:
    """Logs the runs of a queue's worker.

    Args:
        queue: the queue's name.
        on_written: called for each run that did not complete its job.

    Raises:
        ConfigError: ``OXCART_ENV`` has no known value.
    """

    def __init__(self, queue: str, on_written: OnWritten | None = None) -> None:
        self._queue = queue
        self._on_written = on_written
        self._completed_level = logging.INFO if environment() == "development" else logging.DEBUG
        self.shows_completed = False
        """Whether ``job.completed`` is shown, as of the last jobs that were taken."""

    def started(self, jobs: Iterable[RunningJob]) -> None:
        """Log that jobs were taken, and look up which lines are shown."""
        self.shows_completed = log.isEnabledFor(self._completed_level)
        if log.isEnabledFor(logging.DEBUG):
            for job in jobs:
                log.debug("job.started %s", self.subject(job))

    def note_completed(self, job: RunningJob) -> None:
        """Note what ``completed`` will log: the job's record is let go before that."""
        job.ended_at = time.monotonic()
        job.attempt = _attempt(job)

    def completed(self, job: RunningJob) -> None:
        """Log that a job completed; ``note_completed`` was called before."""
        facts = (self.subject(job), job.attempt, _duration_ms(job))
        if self._completed_level == logging.INFO:
            log.info("job.completed %s attempt=%d duration_ms=%d", *facts)
        else:
            log.debug("job.completed %s attempt=%d duration_ms=%d", *facts)

    def written(self, job: RunningJob, outcome: Outcome, code: int) -> bool:
        """Log what the server answered to a run, of those that completed if they are shown.

        Returns:
            Whether the outcome was written.
        """
        if code == 0 and isinstance(outcome, Completed):
            if self.shows_completed:
                self.completed(job)
            return True
        if code == Code.WRONG_TYPE:
            log.error(
                "job.not_finished %s: a key of its parent's queue holds something else than it "
                "should; it is recovered as stalled and run again",
                self.subject(job),
            )
            return False
        if code < 0:
            log.warning("job.not_ours_any_more %s code=%d", self.subject(job), code)
            return False
        if isinstance(outcome, Failed | Retried):
            variables_of(job).run(self._failed, job, outcome)
        else:
            log.debug(
                "job.ended %s outcome=%s duration_ms=%d",
                self.subject(job), type(outcome).__name__, _duration_ms(job),
            )  # fmt: skip
        if self._on_written is not None:
            self._on_written(self._queue, job.taken.job_id, outcome)
        return True

    def dropped(self, job_ids: Iterable[str]) -> None:
        """Log jobs without data that were taken off the queue."""
        for job_id in job_ids:
            log.error("job.dropped queue=%s job_id=%s: it has no data", self._queue, job_id)
            if self._on_written is not None:
                self._on_written(self._queue, job_id, None)

    def _failed(self, job: RunningJob, outcome: Failed | Retried) -> None:
        log_failed_attempt(
            log, self.subject(job), outcome.reason, outcome.error,
            attempt=_attempt(job),
            max_attempts=job.record.options.max_attempts if job.record else 0,
            duration_ms=_duration_ms(job),
            delay_ms=outcome.delay_ms if isinstance(outcome, Retried) else None,
        )  # fmt: skip

    def subject(self, job: RunningJob) -> str:
        """Return what names a job in a line."""
        return f"queue={self._queue} job_id={job.taken.job_id} name={job.taken.name}"


def log_failed_attempt(
    log: logging.Logger,
    subject: str,
    reason: str,
    error: BaseException | None,
    *,
    attempt: int,
    max_attempts: int,
    duration_ms: int,
    delay_ms: int | None,
) -> None:
    """Log ``job.failed``, or ``job.retried`` where the job is run again.

    Args:
        log: logs the line.
        subject: what names the job.
        reason: why the attempt failed.
        error: what was raised, if anything was.
        attempt: the number of the attempt, from 1.
        max_attempts: how many attempts the job has.
        duration_ms: how long the attempt took.
        delay_ms: the wait before the next attempt; ``None`` if there is none.
    """
    facts: list[Any] = [subject, attempt, max_attempts, duration_ms]
    if error is not None:
        facts.insert(1, type_name(error))
    shown = error if error is not None and _can_be_written(error) else None
    if delay_ms is None:
        log.error(
            "job.failed %s attempt=%d max_attempts=%d duration_ms=%d: %s"
            if error is None
            else "job.failed %s error_type=%s attempt=%d max_attempts=%d duration_ms=%d: %s",
            *facts, reason, exc_info=shown,
        )  # fmt: skip
    else:
        log.warning(
            "job.retried %s attempt=%d max_attempts=%d duration_ms=%d delay_ms=%d: %s"
            if error is None
            else "job.retried %s error_type=%s attempt=%d max_attempts=%d duration_ms=%d "
            "delay_ms=%d: %s",
            *facts, delay_ms, reason, exc_info=shown,
        )  # fmt: skip


def _can_be_written(error: BaseException) -> bool:
    """Whether an error has a text, and one that a log file can hold."""
    try:
        str(error).encode()
    # An exception whose text cannot be made must not take the worker with it.
    except Exception:  # noqa: BLE001
        return False
    return True


def _attempt(job: RunningJob) -> int:
    return job.record.attempts_made + 1 if job.record else 0


def _duration_ms(job: RunningJob) -> int:
    return round((job.ended_at - job.began_at) * 1_000) if job.began_at else 0
