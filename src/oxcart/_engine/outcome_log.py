"""What a worker's log says of the runs that were written."""

from __future__ import annotations

import logging

from oxcart._model.outcome import Failed, Outcome, Retried

log = logging.getLogger("oxcart.worker")


def log_outcome(subject: str, outcome: Outcome) -> None:
    """Log what became of a job, loudly if it failed."""
    match outcome:
        case Failed(reason=reason):
            log.error("job.failed %s: %s", subject, reason)
        case Retried(reason=reason, delay_ms=delay_ms):
            log.warning("job.retried %s delay_ms=%d: %s", subject, delay_ms, reason)
        case _:
            log.debug("job.ended %s outcome=%s", subject, type(outcome).__name__)
