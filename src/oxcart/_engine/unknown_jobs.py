"""Jobs that this worker cannot run, as their name or payload is unknown to it.

During a rolling deploy workers of several versions share a queue, and two applications may share
one for good. Such a job is put back for another worker, and no attempt is counted; it fails when no
worker that knows it took it in a stated time.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable
from dataclasses import dataclass

from oxcart._engine.judging import clean, final
from oxcart._model.duration import Duration, to_ms
from oxcart._model.job import JobRecord
from oxcart._model.outcome import Failure, PutBack
from oxcart._model.unknown import SeenBy, UnknownKind, delay_ms, seen_again
from oxcart._wire.codec import encode_unknown
from oxcart.errors import ConfigError

VARIABLE = "OXCART_UNKNOWN_JOB_SECONDS"
DEFAULT_TIMEOUT_S = 6 * 3_600
MAX_REASON = 1_000
"""How many characters of the reason are kept with the job while it is delayed."""
LOG_INTERVAL_S = 60.0
MAX_NAMES = 1_000
"""How many names are counted apart between two log lines of each."""

log = logging.getLogger("oxcart.jobs")


def unknown_job_timeout_ms(given: Duration | None) -> int:
    """How long jobs that no worker can run are put back: as given, else the variable, else 6 h.

    Raises:
        ConfigError: it is not a duration, or the variable is not a number of seconds.
    """
    if given is not None:
        return to_ms(given, what="unknown_job_timeout")
    text = os.environ.get(VARIABLE, "").strip()
    if not text:
        return DEFAULT_TIMEOUT_S * 1_000
    if not text.isdecimal():
        raise ConfigError(
            f"{VARIABLE} is {text!r}; it must be a whole number of seconds, 0 or more"
        )
    return int(text) * 1_000


@dataclass(slots=True)
class _Counted:
    logged_at: float
    count: int = 0


class UnknownJobs:
    """Decides about the jobs of a queue that its worker cannot run, and logs them.

    Args:
        queue: the queue's name.
        timeout_ms: how long after it was first seen such a job fails; 0: at once.
        seen_by: the worker.
        random: gives a number in [0, 1), for jitter.
        monotonic: gives the time in seconds, for the log.
    """

    def __init__(
        self,
        queue: str,
        *,
        timeout_ms: int,
        seen_by: SeenBy,
        random: Callable[[], float],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._queue = queue
        self._timeout_ms = timeout_ms
        self._seen_by = seen_by
        self._random = random
        self._monotonic = monotonic
        self._counted: dict[tuple[UnknownKind, str], _Counted] = {}

    def decide(
        self, record: JobRecord, kind: UnknownKind, reason: str, error: BaseException | None = None
    ) -> PutBack | Failure:
        """Put a job back, or fail it when its time is over.

        Args:
            record: the job as it was taken.
            kind: what is unknown.
            reason: the same in full.
            error: the error by which it was found, if there is one.
        """
        if self._timeout_ms == 0:
            return final(reason, error)
        now_ms = record.processed_at_ms or 0
        unknown = seen_again(
            record.unknown,
            kind,
            clean(reason, MAX_REASON),
            by=self._seen_by,
            now_ms=now_ms,
            attempts_made=record.attempts_made,
        )
        waited_ms = now_ms - unknown.first_seen_at_ms
        if waited_ms >= self._timeout_ms:
            return final(
                f"{reason}; put back {unknown.count - 1} times in {waited_ms / 1_000:.0f} s and "
                f"not taken by a worker that knows it; seen by: {unknown.workers}",
                error,
            )
        self._log(record, kind, reason)
        wait_ms = delay_ms(unknown, now_ms=now_ms, timeout_ms=self._timeout_ms, random=self._random)
        return PutBack(wait_ms, encode_unknown(unknown), reason)

    def _log(self, record: JobRecord, kind: UnknownKind, reason: str) -> None:
        """Log the first job of a name, and then one line a minute with their number."""
        key, now = (kind, record.name), self._monotonic()
        counted = self._counted.get(key)
        if counted is None:
            if len(self._counted) >= MAX_NAMES:
                self._counted.clear()
            counted = self._counted[key] = _Counted(now - LOG_INTERVAL_S)
        counted.count += 1
        if now - counted.logged_at < LOG_INTERVAL_S:
            return
        facts = (
            self._queue, record.name, record.id, counted.count, self._seen_by.build or "unknown",
            self._timeout_ms // 1_000, reason,
        )  # fmt: skip
        if kind is UnknownKind.NAME:
            log.warning(
                "job.unknown_name queue=%s name=%s job_id=%s count=%d build=%s "
                "fails_after_s=%d: %s",
                *facts,
            )
        else:
            log.warning(
                "job.payload_mismatch queue=%s name=%s job_id=%s count=%d build=%s "
                "fails_after_s=%d: %s",
                *facts,
            )
        counted.logged_at, counted.count = now, 0
