"""The only code that calls SQS: blocking, to be called from a thread."""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from oxcart.errors import ConfigError, StoreTimeout, StoreUnavailable

if TYPE_CHECKING:
    from types_boto3_sqs.client import SQSClient
    from types_boto3_sqs.type_defs import (
        ChangeMessageVisibilityBatchRequestEntryTypeDef,
        MessageAttributeValueTypeDef,
        SendMessageBatchRequestEntryTypeDef,
        SendMessageBatchResultTypeDef,
    )

log = logging.getLogger("oxcart.sqs")

BATCH = 10
"""How many messages one call of SQS takes at the most."""
CONNECT_S = 2
READ_S = 10
ATTEMPTS = 3
NOT_INSTALLED = "OXCART_BROKER is sqs, and boto3 is not installed: pip install 'oxcart[sqs]'"
_REGION = re.compile(r"^https://(?:sqs\.)?([a-z]{2}(?:-[a-z]+)+-\d+)\.")


class SqsClient:
    """Calls SQS. Threads may share it.

    Credentials, region and endpoint come from where all of AWS' tools take them: ``AWS_*``
    variables, profiles, the role of the function.

    Args:
        url: a queue's URL, which says the region if nothing else does.
        client: an open client of boto3, instead of one made at the first call.
    """

    def __init__(self, url: str, *, client: SQSClient | None = None) -> None:
        self._url = url
        self._client = client
        self._making = threading.Lock()

    def send_batch(
        self, url: str, entries: Sequence[SendMessageBatchRequestEntryTypeDef]
    ) -> SendMessageBatchResultTypeDef:
        """Send up to ten messages; the answer says which were taken.

        Raises:
            StoreUnavailable: SQS cannot be reached, or refused the whole call.
        """
        with translated("SendMessageBatch"):
            return self._connected().send_message_batch(QueueUrl=url, Entries=list(entries))

    def send(
        self,
        url: str,
        body: str,
        *,
        attributes: Mapping[str, MessageAttributeValueTypeDef],
        group_id: str | None = None,
        deduplication_id: str | None = None,
    ) -> None:
        """Send one message.

        Raises:
            StoreUnavailable: as ``send_batch``.
        """
        with translated("SendMessage"):
            client = self._connected()
            if group_id is None or deduplication_id is None:
                client.send_message(QueueUrl=url, MessageBody=body, MessageAttributes=attributes)
                return
            client.send_message(
                QueueUrl=url,
                MessageBody=body,
                MessageAttributes=attributes,
                MessageGroupId=group_id,
                MessageDeduplicationId=deduplication_id,
            )

    def change_visibility(self, url: str, seconds_of: Mapping[str, int]) -> None:
        """Say when messages that were received may be received again.

        Args:
            url: their queue.
            seconds_of: how long from now, by receipt handle.

        Raises:
            StoreUnavailable: as ``send_batch``.
        """
        changes = list(seconds_of.items())
        for start in range(0, len(changes), BATCH):
            entries: list[ChangeMessageVisibilityBatchRequestEntryTypeDef] = [
                {"Id": str(at), "ReceiptHandle": handle, "VisibilityTimeout": seconds}
                for at, (handle, seconds) in enumerate(changes[start : start + BATCH])
            ]
            with translated("ChangeMessageVisibilityBatch"):
                answer = self._connected().change_message_visibility_batch(
                    QueueUrl=url, Entries=entries
                )
            for refused in answer.get("Failed", []):
                log.warning(
                    "sqs.visibility_not_changed queue=%s: %s; the message returns when its "
                    "visibility time-out is over",
                    url, refused.get("Message") or refused["Code"],
                )  # fmt: skip

    def counts(self, url: str) -> tuple[int, int, int]:
        """About how many messages wait, are being worked on, and are delayed.

        Raises:
            StoreUnavailable: as ``send_batch``.
        """
        with translated("GetQueueAttributes"):
            answer = self._connected().get_queue_attributes(
                QueueUrl=url,
                AttributeNames=[
                    "ApproximateNumberOfMessages",
                    "ApproximateNumberOfMessagesNotVisible",
                    "ApproximateNumberOfMessagesDelayed",
                ],
            )
        found = answer["Attributes"]
        return (
            int(found["ApproximateNumberOfMessages"]),
            int(found["ApproximateNumberOfMessagesNotVisible"]),
            int(found["ApproximateNumberOfMessagesDelayed"]),
        )

    def close(self) -> None:
        """Close the connections."""
        with self._making:
            client, self._client = self._client, None
        if client is not None:
            client.close()

    def _connected(self) -> SQSClient:
        with self._making:
            if self._client is None:
                self._client = open_client(self._url)
            return self._client


def open_client(url: str) -> SQSClient:
    """Make boto3's client.

    Args:
        url: a queue's URL, which says the region if nothing else does.

    Raises:
        ConfigError: boto3 is not installed, or the region is not known.
    """
    try:
        import boto3
        from botocore.config import Config
    except ImportError as error:
        raise ConfigError(NOT_INSTALLED) from error
    session = boto3.session.Session()
    found = _REGION.match(url)
    region = session.region_name or (found[1] if found else None)
    if region is None:
        raise ConfigError(f"the region of {url!r} is not known; set AWS_DEFAULT_REGION")
    config = Config(
        connect_timeout=CONNECT_S,
        read_timeout=READ_S,
        retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
    )
    return session.client("sqs", region_name=region, config=config)


@contextmanager
def translated(call: str) -> Iterator[None]:
    """Raise boto3's errors as ours.

    Raises:
        ConfigError: boto3 is not installed.
        StoreTimeout: SQS did not answer in time.
        StoreUnavailable: it cannot be reached, or it refuses.
    """
    try:
        from botocore.exceptions import BotoCoreError, ClientError, ReadTimeoutError
    except ImportError as error:
        raise ConfigError(NOT_INSTALLED) from error
    try:
        yield
    except ReadTimeoutError as error:
        raise StoreTimeout(f"SQS did not answer {call} in {READ_S} s") from error
    except ClientError as error:
        said = error.response.get("Error", {})
        raise StoreUnavailable(
            f"SQS refused {call}: {said.get('Code', '?')}: {said.get('Message', '')}"
        ) from error
    except BotoCoreError as error:
        raise StoreUnavailable(f"SQS cannot be reached for {call}: {error}") from error
