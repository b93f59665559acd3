"""Adding jobs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from oxcart._model.clock import Clock
from oxcart._model.duration import to_ms
from oxcart._model.job import JobSpec
from oxcart._store.call import Call, Word, script_call
from oxcart._wire.codec import encode_json, encode_text
from oxcart._wire.keys import QueueKeys
from oxcart._wire.options_codec import encode_options, epoch_ms
from oxcart.errors import PayloadError

NONCE_MS = 60_000
"""How long the server remembers a batch, so that sending it again adds nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EncodedJob:
    """A job ready to be sent."""

    words: tuple[Word, ...]
    options: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Added:
    """What became of one add.

    Attributes:
        job_id: the job's id.
        is_new: false if a job with this id was there already; then nothing was changed.
        added_at_ms: the time of the add, by the server's clock.
    """

    job_id: str
    is_new: bool
    added_at_ms: int


def encode_job(spec: JobSpec) -> EncodedJob:
    """Write a job as the script's arguments.

    Raises:
        PayloadError: JSON cannot hold the data, it is longer than the job's ``size_limit``, or the
            name or the id cannot be written as UTF-8.
    """
    options = spec.options
    data = encode_json(spec.data, what=f"the data of job {spec.name!r}")
    if options.size_limit is not None and len(data) > options.size_limit:
        raise PayloadError(
            f"the data of job {spec.name!r} is {len(data)} bytes of JSON, "
            f"over its size limit of {options.size_limit}; the job was not added"
        )
    encoded = encode_options(options)
    is_instant = isinstance(options.delay, datetime)
    delay = 0 if options.delay is None or is_instant else to_ms(options.delay)  # type: ignore[arg-type]
    words: tuple[Word, ...] = (
        encode_text(options.job_id or "", what="the job's id"),
        encode_text(spec.name, what="the job's name"),
        data,
        encoded,
        "" if options.timestamp is None else epoch_ms(options.timestamp),
        delay,
        epoch_ms(options.delay) if isinstance(options.delay, datetime) else "",
        options.priority,
        "1" if options.lifo else "0",
    )
    return EncodedJob(words=words, options=encoded)


def add_jobs(
    keys: QueueKeys, jobs: Sequence[EncodedJob], *, clock: Clock, nonce: str
) -> Call[list[Added]]:
    """Add a batch of jobs in one atomic step.

    Source: wire format, sections 7.1 and 7.2.

    Args:
        keys: the queue.
        jobs: the jobs, added in order.
        clock: what the time is.
        nonce: makes sending the batch a second time harmless.
    """
    args: list[Word] = [clock.now_ms(), NONCE_MS]
    for job in jobs:
        args.extend(job.words)
    return script_call(
        "add_jobs",
        (
            keys.base, keys.wait, keys.active, keys.prioritized, keys.delayed, keys.marker,
            keys.meta, keys.id, keys.priority_counter, keys.events, keys.private("add", nonce),
        ),
        args,
        _read_added,
        is_repeatable=True,
    )  # fmt: skip


def _read_added(reply: list[Any]) -> list[Added]:
    now = int(reply[0])
    return [
        Added(job_id=job_id.decode(), is_new=status == 1, added_at_ms=now)
        for job_id, status in zip(reply[1::2], reply[2::2], strict=True)
    ]
