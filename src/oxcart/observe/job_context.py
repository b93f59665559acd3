"""The job that a line or an error belongs to, looked up when there is one to write.

A running handler's job is in a context variable already. Nothing is bound for the log's sake: a job
that logs nothing costs nothing, and threads that run handlers have it like tasks. The hooks of a
job that failed run with the variables of its last attempt.
"""

from __future__ import annotations

import weakref
from collections.abc import Mapping
from typing import Any

from oxcart import JobContext, current_job
from oxcart.errors import ConfigError
from oxcart.observe.redaction import Redactor

MAX_ENDED = 512
"""Of how many failed attempts it is remembered what is secret, for the lines that tell of them."""

_redactors: weakref.WeakKeyDictionary[JobContext, tuple[object, Redactor]] = (
    weakref.WeakKeyDictionary()
)
_ended: dict[tuple[str, str], Redactor] = {}


def running_job() -> JobContext | None:
    """The job whose handler, or whose hook of ``on_failure``, is running here, if one is."""
    try:
        return current_job()
    except ConfigError:
        return None


def facts_of(job: JobContext) -> dict[str, Any]:
    """What names a job's run in a log line."""
    return {
        "queue": job.queue,
        "job_id": job.job_id,
        "job_name": job.name,
        "attempt": job.attempt,
    }


def note_failed(job: JobContext, names: frozenset[str]) -> None:
    """Remember what is secret in a job whose attempt failed: the worker logs its error later."""
    redactor = redactor_of(job, names)
    _ended.pop((job.queue, job.job_id), None)
    _ended[job.queue, job.job_id] = redactor
    while len(_ended) > MAX_ENDED:
        _ended.pop(next(iter(_ended)), None)


def redactor_for(facts: Mapping[str, Any], names: frozenset[str]) -> Redactor | None:
    """What hides the values of the secrets of the job that a line is about.

    Args:
        facts: the line's; they may name a job that has ended.
        names: the keys of payloads that are secret, beside the usual ones.
    """
    job = running_job()
    if job is not None:
        return redactor_of(job, names)
    return _ended.get((str(facts.get("queue")), str(facts.get("job_id"))))


def redactor_of(job: JobContext, names: frozenset[str]) -> Redactor:
    """What hides the values of a job's secrets wherever they are repeated.

    Args:
        job: the job.
        names: the keys of its payload that are secret, beside the usual ones.
    """
    known = _redactors.get(job)
    # The handler may have replaced the payload meanwhile.
    if known is None or known[0] is not job.record:
        known = _redactors[job] = (job.record, Redactor(job.data, names))
    return known[1]
