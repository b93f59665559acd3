"""A job on its way to SQS: what SQS can hold of it, and what is refused."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from math import ceil
from typing import TYPE_CHECKING

from oxcart._model.clock import epoch_ms
from oxcart._model.duration import to_ms
from oxcart._model.job import JobSpec
from oxcart._model.links import Deduplication
from oxcart.errors import PayloadError
from oxcart.sqs.addresses import SqsAddress
from oxcart.sqs.errors import NotInSqs
from oxcart.sqs.groups import one_group
from oxcart.sqs.message import write_message

if TYPE_CHECKING:
    from types_boto3_sqs.type_defs import SendMessageBatchRequestEntryTypeDef

MAX_DELAY_S = 900
MAX_CALL_BYTES = 1_048_576
"""How much one call may hold in all (SQS's quota)."""
RESERVED_BYTES = 4_096
"""Kept free in every message for the reason that goes with it to the dead-letter queue."""
MAX_BODY_BYTES = MAX_CALL_BYTES - RESERVED_BYTES
DEDUPLICATION_MS = 300_000
"""For how long SQS takes two messages of one deduplication id for one."""
MAX_GROUP_LENGTH = 128

GroupOf = Callable[[str, JobSpec], str]
"""Tells, for a queue and a job, the group in which a FIFO queue keeps the order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """A job ready to be sent.

    Attributes:
        job_id: the job's id, chosen before it is sent.
        name: its name.
        made_at_ms: when it was made.
        body: the message.
        size_bytes: how long the body is.
        delay_s: how long SQS holds it back; ``None`` for a FIFO queue, which cannot.
        group_id: the group of a FIFO queue.
        deduplication_id: of a FIFO queue.
    """

    job_id: str
    name: str
    made_at_ms: int
    body: str
    size_bytes: int
    delay_s: int | None = None
    group_id: str | None = None
    deduplication_id: str | None = None

    def entry(self, entry_id: str) -> SendMessageBatchRequestEntryTypeDef:
        """The job as a part of a batch."""
        entry: SendMessageBatchRequestEntryTypeDef = {"Id": entry_id, "MessageBody": self.body}
        if self.delay_s is not None:
            entry["DelaySeconds"] = self.delay_s
        if self.group_id is not None and self.deduplication_id is not None:
            entry["MessageGroupId"] = self.group_id
            entry["MessageDeduplicationId"] = self.deduplication_id
        return entry


def prepare(
    spec: JobSpec, address: SqsAddress, *, prefix: str, group_of: GroupOf = one_group
) -> Outgoing:
    """Make a job ready to be sent.

    Raises:
        NotInSqs: it has an option that SQS cannot hold, with the way out.
        PayloadError: JSON cannot hold its data, or it is too long.
    """
    _check_options(spec, address)
    job_id = spec.options.job_id or uuid.uuid4().hex
    now_ms = round(time.time() * 1_000)
    made = now_ms if spec.options.timestamp is None else epoch_ms(spec.options.timestamp)
    body = write_message(spec, job_id=job_id, made_at_ms=made, prefix=prefix)
    size = len(body.encode())
    _check_size(spec, size)
    outgoing = {
        "job_id": job_id, "name": spec.name, "made_at_ms": made, "body": body, "size_bytes": size
    }  # fmt: skip
    delay_s = _delay_s(spec, now_ms)
    if not address.is_fifo:
        return Outgoing(**outgoing, delay_s=delay_s)  # type: ignore[arg-type]  # as named
    if delay_s:
        raise NotInSqs(
            f"job {spec.name!r} has a delay, and {address.sqs_name!r} is a FIFO queue, where SQS "
            "delays all messages alike or none; use a standard queue, or let the handler "
            "raise Delay(...)"
        )
    dedup = spec.options.dedup
    return Outgoing(
        **outgoing,  # type: ignore[arg-type]  # as named
        group_id=_group(group_of(address.queue, spec), address),
        deduplication_id=_safe_id(job_id if dedup is None else dedup.id),
    )


def _check_options(spec: JobSpec, address: SqsAddress) -> None:
    options = spec.options
    if options.parent is not None or options.parent_on_failure is not None:
        raise NotInSqs(
            f"job {spec.name!r} has a parent, and SQS knows no flows; "
            "queue the next job at the end of the handler, or use OXCART_BROKER=redis"
        )
    if options.dedup is None:
        return
    if not address.is_fifo:
        raise NotInSqs(
            f"job {spec.name!r} has a deduplication id, and {address.sqs_name!r} is a standard "
            "queue, which takes every message; use a FIFO queue, or OXCART_BROKER=redis"
        )
    if _wants_more_than_sqs(options.dedup):
        raise NotInSqs(
            f"the deduplication of job {spec.name!r} wants more than SQS does, which is to take "
            "one message of an id in five minutes: give it an id alone, or ttl='5m'"
        )


def _wants_more_than_sqs(dedup: Deduplication) -> bool:
    flags = dedup.extend or dedup.replace or dedup.reschedule or dedup.keep_last_if_active
    return flags or dedup.ttl_ms not in (None, DEDUPLICATION_MS)


def _check_size(spec: JobSpec, size: int) -> None:
    limit = spec.options.size_limit
    if limit is not None and size > limit:
        raise PayloadError(
            f"job {spec.name!r} is {size:,} bytes as a message, over its size limit of {limit:,}; "
            "the job was not sent"
        )
    if size > MAX_BODY_BYTES:
        raise PayloadError(
            f"job {spec.name!r} is {size:,} bytes as a message, and SQS takes "
            f"{MAX_BODY_BYTES:,}; the job was not sent. Put the data into a file, an S3 object or "
            "a table, and its name into the job"
        )


def _delay_s(spec: JobSpec, now_ms: int) -> int:
    delay = spec.options.delay
    if delay is None:
        return 0
    ms = epoch_ms(delay) - now_ms if isinstance(delay, datetime) else to_ms(delay, what="delay")
    seconds = max(0, ceil(ms / 1_000))
    if seconds > MAX_DELAY_S:
        raise NotInSqs(
            f"job {spec.name!r} has a delay of {seconds:,} s, and SQS delays {MAX_DELAY_S} s at "
            "the most; let the handler raise Delay(...), which may wait up to 12 hours, start it "
            "by EventBridge Scheduler, or use OXCART_BROKER=redis"
        )
    return seconds


def _group(group: str, address: SqsAddress) -> str:
    if not group or len(group) > MAX_GROUP_LENGTH or not _is_plain(group):
        raise NotInSqs(
            f"{group!r} cannot be a group of {address.sqs_name!r}: SQS wants 1 to "
            f"{MAX_GROUP_LENGTH} letters, digits and punctuation of ASCII; hash what is something "
            "else"
        )
    return group


def _safe_id(text: str) -> str:
    """A deduplication id as SQS takes it; one that it would not take is replaced by its hash."""
    if len(text) <= MAX_GROUP_LENGTH and _is_plain(text):
        return text
    return uuid.uuid5(uuid.NAMESPACE_OID, text).hex


def _is_plain(text: str) -> bool:
    return all("!" <= char <= "~" for char in text)
