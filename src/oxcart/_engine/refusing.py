"""Why a job that was taken is failed without being run."""

from __future__ import annotations

from datetime import UTC, datetime

from oxcart._model.clock import epoch_ms
from oxcart._model.duration import to_ms
from oxcart._model.job import JobRecord

STARTED_TOO_OFTEN = "job started more than allowable limit"


def refusal_of(record: JobRecord, max_started_attempts: int | None) -> str | None:
    """The reason, if there is one.

    Args:
        record: the job as it was taken.
        max_started_attempts: how often it may be taken; ``None`` sets no limit.
    """
    if record.deferred_failure or record.corruption:
        return record.deferred_failure or record.corruption
    started = record.attempts_started - record.unrun_count
    if max_started_attempts is not None and started > max_started_attempts:
        return STARTED_TOO_OFTEN
    if record.options.expires is not None:
        return _expiry(record)
    return None


def _expiry(record: JobRecord) -> str | None:
    expires, taken_at_ms = record.options.expires, record.processed_at_ms
    if expires is None or taken_at_ms is None:
        return None
    if isinstance(expires, datetime):
        expires_at_ms = epoch_ms(expires)
    else:
        expires_at_ms = record.created_at_ms + to_ms(expires, what="expires")
    if taken_at_ms < expires_at_ms:
        return None
    reason = f"expired at {_shown(expires_at_ms)}, taken at {_shown(taken_at_ms)}"
    if record.failed_reason:
        reason += f"; the attempt before failed: {record.failed_reason}"
    if record.unknown:
        reason += f"; {record.unknown}"
    return reason


def _shown(at_ms: int) -> str:
    try:
        return datetime.fromtimestamp(at_ms / 1_000, UTC).isoformat(timespec="milliseconds")
    except (OverflowError, ValueError, OSError):
        return f"{at_ms} ms"
