"""Adding jobs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum
from typing import Any

import msgspec

from oxcart._model.by_identity import ByIdentity
from oxcart._model.clock import Clock, epoch_ms
from oxcart._model.duration import to_ms
from oxcart._model.job import JobSpec
from oxcart._model.links import Deduplication
from oxcart._model.options import JobOptions
from oxcart._store.call import Call, Word, script_call
from oxcart._wire.codec import encode_job_name, encode_json, encode_text
from oxcart._wire.keys import QueueKeys
from oxcart._wire.options_codec import encode_options, encode_parent, queue_key
from oxcart.errors import PayloadError

NONCE_MS = 60_000
"""How long the server remembers a batch, so that sending it again adds nothing."""


EncodedJob = tuple[Word, ...]
"""A job ready to be sent: the arguments that the script reads (``lib/new_job``)."""


class AddStatus(IntEnum):
    """What became of an add; refusals are negative (``_wire.codes``)."""

    ADDED = 1
    EXISTS = 0
    """A job with this id was there already."""
    DEDUPLICATED = 2
    """Another job holds the deduplication id."""


_ADDED = int(AddStatus.ADDED)  # comparing members of an enumeration is slow


@dataclass(slots=True, kw_only=True)  # not frozen: making one of those takes thrice as long
class Added:
    """What became of one add.

    Attributes:
        job_id: the job's id; of a dropped add, that of the job that is there.
        status: an ``AddStatus``, or a refusal's code.
        added_at_ms: the time of the add, by the server's clock.
    """

    job_id: str
    status: int
    added_at_ms: int

    @property
    def is_new(self) -> bool:
        """Whether the job was added."""
        return self.status == _ADDED


def encode_job(
    spec: JobSpec, *, prefix: str, has_children: bool = False, job_id: str | None = None
) -> EncodedJob:
    """Write a job as the script's arguments.

    Args:
        spec: the job.
        prefix: that of its queue, for a parent that names none.
        has_children: the same insert brings its children.
        job_id: an id that was chosen for it and is not one of its options.

    Raises:
        PayloadError: JSON cannot hold the data, it is longer than the job's ``size_limit``, or the
            name or the id cannot be written as UTF-8.
    """
    options = spec.options
    data = encode_data(spec, what=f"the data of job {spec.name!r}", kept="the job was not added")
    text, more = _encode_options(options, prefix)
    if has_children:
        more = _more(options, prefix, waits=True)
    return (
        encode_text(options.job_id or job_id or "", what="the job's id"),
        encode_job_name(spec.name),
        data,
        text,
        more,
    )


_MOST_ENCODED = 256


def _encode_options(options: JobOptions, prefix: str) -> tuple[bytes, bytes]:
    """Options as JSON text, and the same as the script reads it."""
    # A parent's key starts with the prefix; what is left until an instant is less each time.
    if options.parent is None and not isinstance(options.delay, datetime):
        return _encoded.get(options)
    return encode_options(options, prefix=prefix), _more(options, prefix)


def encode_data(spec: JobSpec, *, what: str, kept: str) -> bytes:
    """Write a job's data as JSON.

    Args:
        spec: the job.
        what: what the data is, named in the errors.
        kept: what stays as it was if the data is too long.

    Raises:
        PayloadError: JSON cannot hold the data, or it is longer than the job's ``size_limit``.
    """
    data = encode_json(spec.data, what=what)
    limit = spec.options.size_limit
    if limit is not None and len(data) > limit:
        raise PayloadError(
            f"{what} is {len(data)} bytes of JSON, over its size limit of {limit}; {kept}"
        )
    return data


def _more(options: JobOptions, prefix: str, *, waits: bool = False) -> bytes:
    """What few jobs have, as the script reads it (``lib/new_job``); nothing for most jobs."""
    more: dict[str, object] = {}
    if options.timestamp is not None:
        more["timestamp"] = epoch_ms(options.timestamp)
    if isinstance(options.delay, datetime):
        more["due"] = epoch_ms(options.delay)
    elif options.delay is not None:
        more["delay"] = to_ms(options.delay)
    if options.priority:
        more["priority"] = options.priority
    if options.lifo:
        more["lifo"] = True
    if options.parent is not None:
        key = f"{queue_key(options.parent, prefix)}:{options.parent.id}"
        text = encode_parent(options.parent, options.parent_on_failure, prefix=prefix)
        more["parent"] = [key, text.decode()]
    if options.dedup is not None:
        more["dedup"] = _dedup(options.dedup)
    if waits:
        more["waits"] = True
    return msgspec.msgpack.encode(more) if more else b""


_encoded: ByIdentity[JobOptions, tuple[bytes, bytes]] = ByIdentity(
    lambda options: (encode_options(options, prefix=""), _more(options, "")), limit=_MOST_ENCODED
)
"""What was written of options for which the prefix does not matter."""


def _dedup(dedup: Deduplication) -> dict[str, object]:
    members = {
        "id": dedup.id, "ttl": dedup.ttl_ms, "extend": dedup.extend, "replace": dedup.replace,
        "reschedule": dedup.reschedule, "keep": dedup.keep_last_if_active,
    }  # fmt: skip
    return {name: value for name, value in members.items() if value}


def add_jobs(
    keys: QueueKeys, jobs: Sequence[EncodedJob], *, clock: Clock, nonce: str
) -> Call[list[Added]]:
    """Add a batch of jobs in one atomic step.

    Source: wire format, sections 7.1 to 7.3.

    Args:
        keys: the queue.
        jobs: the jobs, added in order.
        clock: what the time is.
        nonce: makes sending the batch a second time harmless.
    """
    args: list[Word] = [clock.now_ms(), NONCE_MS]
    for job in jobs:
        args.extend(job)
    return script_call(
        "add_jobs",
        (keys.base, keys.private("add", nonce)),
        args,
        lambda reply: read_added(reply, len(jobs)),
        is_repeatable=True,
    )


def add_job_before(
    keys: QueueKeys, job: EncodedJob, *, clock: Clock, before_ms: int
) -> Call[Added | int]:
    """Add a job that has an id, unless the server gets to it later than at an instant.

    Answers what became of it; the server's time in ms if it was too late and nothing was added.
    """

    def read(reply: list[Any]) -> Added | int:
        return int(reply[0]) if len(reply) == 1 else read_added(reply, 1)[0]

    return script_call(
        "add_jobs_before",
        (keys.base,),
        (clock.now_ms(), before_ms, *job),
        read,
        is_repeatable=True,
    )


def read_added(reply: list[Any], count: int) -> list[Added]:
    """Read what became of each of ``count`` adds of a batch."""
    now = int(reply[0])
    if len(reply) == 2:  # noqa: PLR2004  # the time, and the first id's number
        first = int(reply[1])
        return [
            Added(job_id=str(number), status=_ADDED, added_at_ms=now)
            for number in range(first, first + count)
        ]
    return [
        Added(job_id=job_id.decode(), status=status, added_at_ms=now)
        for job_id, status in zip(reply[1::2], reply[2::2], strict=True)
    ]
