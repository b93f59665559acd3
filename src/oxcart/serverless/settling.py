"""Telling SQS what becomes of a batch's messages."""

from __future__ import annotations

import asyncio
import logging
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from oxcart.errors import ConfigError, StoreError
from oxcart.serverless.records import Record
from oxcart.serverless.running import Ran
from oxcart.serverless.verdicts import Again
from oxcart.sqs.addresses import DEAD_LETTERS_VARIABLE, SqsAddress
from oxcart.sqs.client import SqsClient

if TYPE_CHECKING:
    from collections.abc import Mapping

    from types_boto3_sqs.type_defs import MessageAttributeValueTypeDef

log = logging.getLogger("oxcart.serverless")

MAX_REASON_BYTES = 2_000
_NOT_IN_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class Settler:
    """Moves one queue's messages.

    Args:
        address: the queue.
        client: calls SQS.

    Raises:
        ConfigError: the queue has no dead-letter queue.
    """

    def __init__(self, address: SqsAddress, client: SqsClient) -> None:
        if address.dead_letter_url is None:
            raise ConfigError(
                f"queue {address.queue!r} has no dead-letter queue: jobs that fail for good need "
                f"one; name it in {DEAD_LETTERS_VARIABLE}"
            )
        self._address = address
        self._dead_letter_url = address.dead_letter_url
        self._client = client

    async def bury(self, record: Record, ran: Ran, reason: str) -> bool:
        """Send a message to the dead-letter queue, with what is known of its end.

        Returns:
            Whether it is there; if not, the message must stay where it is.
        """
        try:
            await asyncio.to_thread(
                self._client.send,
                self._dead_letter_url,
                record.body,
                attributes=_attributes(self._address.queue, ran, reason),
                group_id=record.group_id if self._address.is_fifo else None,
                deduplication_id=record.message_id if self._address.is_fifo else None,
            )
        except StoreError as error:
            log.warning(
                "job.not_buried queue=%s job_id=%s: %s; the message comes back and is run again",
                self._address.queue, ran.job_id, error,
            )  # fmt: skip
            return False
        return True

    async def hide(self, waits: Mapping[Record, Again]) -> None:
        """Say when messages may come back."""
        seconds_of = {record.receipt: again.after_s for record, again in waits.items()}
        if not seconds_of:
            return
        try:
            await asyncio.to_thread(self._client.change_visibility, self._address.url, seconds_of)
        except StoreError as error:
            log.warning(
                "sqs.visibility_not_changed queue=%s: %s; the messages return when their "
                "visibility time-out is over",
                self._address.queue, error,
            )  # fmt: skip


def _attributes(queue: str, ran: Ran, reason: str) -> dict[str, MessageAttributeValueTypeDef]:
    """What goes with a message to the dead-letter queue; SQS takes no empty values."""
    texts = {
        "OxcartReason": _fit(reason),
        "OxcartQueue": queue,
        "OxcartJobId": _fit(ran.job_id),
        "OxcartJobName": _fit(ran.name),
        "OxcartFailedAt": datetime.now(UTC).isoformat(timespec="milliseconds"),
    }
    attributes: dict[str, MessageAttributeValueTypeDef] = {
        name: {"DataType": "String", "StringValue": text} for name, text in texts.items() if text
    }
    attributes["OxcartAttempts"] = {"DataType": "Number", "StringValue": str(ran.attempt)}
    return attributes


def _fit(text: str) -> str:
    """A text as SQS takes it, not too long."""
    plain = _NOT_IN_XML.sub("\ufffd", text.encode(errors="replace").decode())
    if len(plain.encode()) > MAX_REASON_BYTES:
        return plain.encode()[: MAX_REASON_BYTES - 3].decode(errors="ignore") + "…"
    return plain
