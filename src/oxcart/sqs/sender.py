"""Sending jobs in as few calls as SQS allows, and finding out which of them it took."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from oxcart.errors import PayloadError, StoreError, StoreUnavailable
from oxcart.sqs.addresses import SqsAddress
from oxcart.sqs.client import BATCH, SqsClient
from oxcart.sqs.outgoing import MAX_CALL_BYTES, Outgoing

if TYPE_CHECKING:
    from types_boto3_sqs.type_defs import BatchResultErrorEntryTypeDef

log = logging.getLogger("oxcart.sqs")

TRIES = 3
"""How often a message is sent that SQS could not take through no fault of ours."""
PAUSE_S = 0.1
"""How long the second try waits; the third waits twice as long."""

Sent = Exception | None
"""What became of a job: nothing is wrong, or why it was not sent."""


def batches(
    jobs: Sequence[Outgoing], *, most: int = BATCH, most_bytes: int = MAX_CALL_BYTES
) -> Iterator[range]:
    """Cut jobs into parts that each fit one call, in order.

    Args:
        jobs: what is sent.
        most: how many a call takes.
        most_bytes: how much a call holds.

    Yields:
        The places of each part.
    """
    start, size = 0, 0
    for at, job in enumerate(jobs):
        if at > start and (at - start == most or size + job.size_bytes > most_bytes):
            yield range(start, at)
            start, size = at, 0
        size += job.size_bytes
    if start < len(jobs):
        yield range(start, len(jobs))


def send_all(client: SqsClient, address: SqsAddress, jobs: Sequence[Outgoing]) -> list[Sent]:
    """Send jobs, in order; blocks.

    A call that fails as a whole ends the sending: the jobs after it get its error.

    Returns:
        What became of each job.
    """
    results: list[Sent] = []
    for part in batches(jobs):
        try:
            results += _send_part(client, address, [jobs[at] for at in part])
        except StoreError as error:
            results += [error] * (len(jobs) - len(results))
            break
    return results


def _send_part(client: SqsClient, address: SqsAddress, jobs: Sequence[Outgoing]) -> list[Sent]:
    """Send one call's jobs, those again that SQS could not take for a reason of its own."""
    results: list[Sent] = [None] * len(jobs)
    pending = list(range(len(jobs)))
    for attempt in range(TRIES):
        if attempt:
            time.sleep(PAUSE_S * attempt)
        try:
            answer = client.send_batch(address.url, [jobs[at].entry(str(at)) for at in pending])
        except StoreError as error:
            if not attempt:
                raise
            # The others were taken: to call them unsent would have them sent twice.
            for at in pending:
                results[at] = error
            break
        failed = {int(entry["Id"]): entry for entry in answer.get("Failed", [])}
        for at in pending:
            results[at] = _error_of(failed[at], jobs[at]) if at in failed else None
        pending = [at for at in pending if at in failed and not failed[at]["SenderFault"]]
        if not pending:
            break
        log.warning("sqs.batch_taken_in_part queue=%s left=%d", address.queue, len(pending))
    return results


def _error_of(entry: BatchResultErrorEntryTypeDef, job: Outgoing) -> Exception:
    said = f"{entry['Code']}: {entry.get('Message', '')}"
    if entry["SenderFault"]:
        return PayloadError(f"SQS refused job {job.name!r} with the id {job.job_id!r}: {said}")
    return StoreUnavailable(
        f"SQS could not take job {job.name!r} with the id {job.job_id!r}, {TRIES} times: {said}"
    )
