"""What Lambda hands over: the messages of one queue, and how much time there is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from oxcart.errors import ConfigError


class LambdaContext(Protocol):
    """What is needed of Lambda's context."""

    def get_remaining_time_in_millis(self) -> int:
        """How long the function may go on."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A message that was received.

    Attributes:
        message_id: SQS' own id.
        receipt: names the receiving of it.
        body: what was sent.
        sqs_name: the queue's name in SQS.
        receive_count: how often it was received, this time included.
        sent_at_ms: when it was sent.
        group_id: its group; ``None`` in a standard queue.
    """

    message_id: str
    receipt: str
    body: str
    sqs_name: str
    receive_count: int
    sent_at_ms: int
    group_id: str | None = None


def read_event(event: Mapping[str, Any]) -> list[Record]:
    """Read the messages of an event.

    Raises:
        ConfigError: the event is not one of SQS.
    """
    raw = event.get("Records")
    if not isinstance(raw, list) or not all(_is_of_sqs(item) for item in raw):
        raise ConfigError(
            "the function was called with an event that is not one of SQS; "
            "give it an event source mapping of a queue"
        )
    return [_read_record(item) for item in raw]


def is_timer(event: Mapping[str, Any]) -> bool:
    """Whether the event is a timer's, of EventBridge."""
    return "Records" not in event and event.get("source") in ("aws.events", "aws.scheduler")


def _is_of_sqs(item: object) -> bool:
    return isinstance(item, dict) and item.get("eventSource") == "aws:sqs"


def _read_record(item: Mapping[str, Any]) -> Record:
    attributes = item["attributes"]
    name = item["eventSourceARN"].rpartition(":")[2]
    return Record(
        message_id=item["messageId"],
        receipt=item["receiptHandle"],
        body=item["body"],
        sqs_name=name,
        receive_count=int(attributes["ApproximateReceiveCount"]),
        sent_at_ms=int(attributes["SentTimestamp"]),
        # Standard queues have groups too, for fairness: their order means nothing.
        group_id=attributes.get("MessageGroupId") if name.endswith(".fifo") else None,
    )
