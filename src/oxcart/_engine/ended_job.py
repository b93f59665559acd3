"""What the end of a job means to whoever waits for its result."""

from __future__ import annotations

from oxcart._model.duration import Duration
from oxcart._model.failure_text import failure_text
from oxcart._model.json import JsonValue
from oxcart._model.states import JobState
from oxcart._store.blocking import Entries
from oxcart._store.calls import reading
from oxcart._wire.events import EventName, QueueEvent, read_event
from oxcart._wire.keys import QueueKeys
from oxcart.errors import JobFailed, JobNotFound, ResultTimeout

BLOCK_S = 5.0
"""After this long without an event the job is looked at, in case its event was missed."""
PAGE = 1_000
"""How many events are read at a time."""
RETRY_S = 0.2
"""How long to wait before an unreachable server is tried again."""
TRACES_S = 1.0
"""How long the tracebacks of a failed job are waited for."""

_ENDS = (EventName.COMPLETED, EventName.FAILED, EventName.REMOVED)


def end_among(entries: Entries, job_id: str) -> QueueEvent | None:
    """The event by which a job ended, if it is among a stream's entries."""
    for entry_id, fields in entries:
        event = read_event(entry_id, fields)
        if event.job_id == job_id and event.name in _ENDS:
            return event
    return None


def look_back(entries: Entries, job_id: str) -> QueueEvent | None:
    """The event by which a job ended that is not there any more, newest entries first.

    A job that keeps nothing may be gone before anybody waits for it.
    """
    found = [entry for entry in entries if entry[1].get(b"jobId") == job_id.encode()]
    ends = [end for entry in found if (end := end_among([entry], job_id)) is not None]
    with_value = [end for end in ends if end.name != EventName.REMOVED]
    return with_value[0] if with_value else None


def value_of_event(event: QueueEvent, keys: QueueKeys, job_id: str) -> JsonValue:
    """What a job returned, by the event of its end.

    Raises:
        JobFailed: it failed for good.
        JobNotFound: it was removed.
    """
    if event.name == EventName.COMPLETED:
        return event.data.get("returnvalue")
    if event.name == EventName.FAILED:
        reason = str(event.data.get("failedReason", ""))
        raise JobFailed(job_id=job_id, queue=keys.queue, reason=reason)
    raise JobNotFound(job_id=job_id, queue=keys.queue)


def value_of(result: reading.Result, keys: QueueKeys, job_id: str) -> JsonValue:
    """What a job returned, by how it stands. Raises as ``value_of_event``."""
    if result.state is JobState.COMPLETED:
        return result.value
    if result.state is JobState.FAILED:
        raise JobFailed(job_id=job_id, queue=keys.queue, reason=result.reason)
    raise JobNotFound(job_id=job_id, queue=keys.queue)


def with_error(failed: JobFailed, traces: tuple[str, ...]) -> JobFailed:
    """Return the same failure with what the job's tracebacks say about its error."""
    text = failure_text(failed.reason, traces)
    if text.error_type is None:
        return failed
    return JobFailed(
        job_id=failed.job_id,
        queue=failed.queue,
        reason=failed.reason,
        error_type=text.error_type,
        traceback=text.traceback,
    )


def too_late(keys: QueueKeys, job_id: str, timeout: Duration) -> ResultTimeout:
    """The error of a result that did not come in time."""
    return ResultTimeout(
        f"job {job_id!r} of queue {keys.queue!r} was not finished within {timeout}; it goes on"
    )
