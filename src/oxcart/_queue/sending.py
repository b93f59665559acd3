"""What the asyncio and the blocking queue share about adding: how much is sent, what comes back."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from oxcart._model.clock import epoch_ms
from oxcart._model.job import JobRecord, JobSpec, made_of
from oxcart._store.calls.adding import Added
from oxcart._wire.codes import Code, error_of
from oxcart._wire.keys import QueueKeys
from oxcart._wire.options_codec import approximate_delay_ms
from oxcart.errors import ParentNotFound, WrongKeyType

BATCH = 1_000
"""How many jobs one atomic call adds at the most, so that it never holds the server for long."""


def check_added(spec: JobSpec, added: Added, keys: QueueKeys) -> None:
    """Raise what a refused add stands for.

    Raises:
        ParentNotFound: the job's parent is gone.
        ParentConflict: a job with this id is the child of another parent.
        WrongKeyType: a key of the parent's queue holds something else than it should.
    """
    if added.status >= 0:
        return
    parent = spec.options.parent
    if added.status == Code.PARENT_MISSING and parent is not None:
        raise ParentNotFound(job_id=parent.id, queue=parent.queue)
    if added.status == Code.WRONG_TYPE:
        raise WrongKeyType(
            f"job {spec.name!r} was not added to queue {keys.queue!r}: a key of its parent, or of "
            "its parent's queue, holds something else than it should"
        )
    raise error_of(added.status, job_id=added.job_id, queue=keys.queue, expected="free")


def record_of(spec: JobSpec, added: Added) -> JobRecord:
    """The record of a job that was just added."""
    return made_of(JobRecord, values_of(spec, added))


def values_of(spec: JobSpec, added: Added) -> dict[str, Any]:
    """The fields of the record of a job that was just added."""
    options = spec.options
    values: dict[str, Any] = {
        "id": added.job_id,
        "name": spec.name,
        "data": spec.data,
        "options": options if options.job_id is None else replace(options, job_id=None),
        "created_at_ms": added.added_at_ms,
        "priority": options.priority,
    }
    if options.timestamp is not None:
        values["created_at_ms"] = epoch_ms(options.timestamp)
    if options.delay is not None:
        values["delay_ms"] = approximate_delay_ms(options.delay)
    return values
