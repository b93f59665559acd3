"""SQS as moto plays it, as a process of its own, and a poller that does what Lambda's does."""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import boto3
from tests.support import free_port, wait_until_sync

from oxcart.sqs import SqsAddress

if TYPE_CHECKING:
    from types_boto3_sqs.client import SQSClient
    from types_boto3_sqs.type_defs import MessageTypeDef

REGION = "eu-central-1"
ACCOUNT = "123456789012"
VISIBILITY_S = 60
"""Long: what comes back sooner was told to."""


class AwsServer:
    """moto's server on a free loopback port."""

    def __init__(self) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def environ(self) -> dict[str, str]:
        """The variables by which AWS' tools find it."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def start(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(self.port)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        wait_until_sync(self._answers, within=60, what="moto's server to answer")

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def client(self) -> SQSClient:
        """A client of boto3's, to look at what stands in SQS."""
        return boto3.client(
            "sqs",
            endpoint_url=self.url,
            region_name=REGION,
            aws_access_key_id="testing",
            aws_secret_access_key="testing",
        )

    def _answers(self) -> bool:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port)):
            return True
        return False


@dataclass(frozen=True, slots=True)
class Context:
    """Lambda's context: how much time there is."""

    ends_at: float

    @classmethod
    def of(cls, seconds: float = 60) -> Context:
        return cls(time.monotonic() + seconds)

    def get_remaining_time_in_millis(self) -> int:
        return round(max(0.0, self.ends_at - time.monotonic()) * 1_000)


def make_queue(client: SQSClient, name: str, *, is_fifo: bool = False) -> SqsAddress:
    """A queue with its dead-letter queue, of names that no other test has."""
    suffix = ".fifo" if is_fifo else ""
    unique = f"{name}-{uuid.uuid4().hex[:8]}"
    fifo: Any = {"FifoQueue": "true"} if is_fifo else {}
    dead = client.create_queue(QueueName=f"{unique}-dead{suffix}", Attributes=fifo)["QueueUrl"]
    policy = {"deadLetterTargetArn": arn_of(dead), "maxReceiveCount": "20"}
    url = client.create_queue(
        QueueName=f"{unique}{suffix}",
        Attributes={
            **fifo,
            "VisibilityTimeout": str(VISIBILITY_S),
            "RedrivePolicy": json.dumps(policy),
        },
    )["QueueUrl"]
    return SqsAddress(queue=name, url=url, dead_letter_url=dead)


def arn_of(url: str) -> str:
    return f"arn:aws:sqs:{REGION}:{ACCOUNT}:{url.rpartition('/')[2]}"


def receive(client: SQSClient, url: str, *, most: int = 10) -> list[MessageTypeDef]:
    """Receive what may be received now."""
    found = client.receive_message(
        QueueUrl=url,
        MaxNumberOfMessages=most,
        MessageSystemAttributeNames=["All"],
        MessageAttributeNames=["All"],
    )
    return found.get("Messages", [])


def show_again(client: SQSClient, url: str, messages: list[MessageTypeDef]) -> None:
    """Have messages come back at once, whatever wait they were given."""
    for message in messages:
        client.change_message_visibility(
            QueueUrl=url, ReceiptHandle=message["ReceiptHandle"], VisibilityTimeout=0
        )


def event_of(url: str, messages: list[MessageTypeDef]) -> dict[str, Any]:
    """The event that Lambda's poller makes of messages."""
    return {"Records": [_record(url, message) for message in messages]}


def _record(url: str, message: MessageTypeDef) -> dict[str, Any]:
    return {
        "messageId": message["MessageId"],
        "receiptHandle": message["ReceiptHandle"],
        "body": message["Body"],
        "attributes": dict(message["Attributes"]),
        "messageAttributes": {},
        "md5OfBody": message["MD5OfBody"],
        "eventSource": "aws:sqs",
        "eventSourceARN": arn_of(url),
        "awsRegion": REGION,
    }


def poll(
    client: SQSClient, url: str, handler: Any, *, seconds: float = 60, most: int = 10
) -> dict[str, Any] | None:
    """Do what Lambda's poller does, once: receive, call, delete what was not reported.

    Returns:
        What the handler answered; ``None`` if nothing could be received.
    """
    messages = receive(client, url, most=most)
    if not messages:
        return None
    answer: dict[str, Any] = handler(event_of(url, messages), Context.of(seconds))
    left = {item["itemIdentifier"] for item in answer["batchItemFailures"]}
    for message in messages:
        if message["MessageId"] not in left:
            client.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    return answer


def drain(client: SQSClient, url: str, handler: Any, *, within: float = 30) -> int:
    """Poll until the queue is empty; gives how often the handler was called."""
    calls = 0
    deadline = time.monotonic() + within
    while sum(counts(client, url)):
        assert time.monotonic() < deadline, "the queue did not get empty"
        if poll(client, url, handler) is None:
            time.sleep(0.05)
        else:
            calls += 1
    return calls


def counts(client: SQSClient, url: str) -> tuple[int, int, int]:
    """How many messages are visible, in flight, delayed."""
    names: Any = [
        "ApproximateNumberOfMessages",
        "ApproximateNumberOfMessagesNotVisible",
        "ApproximateNumberOfMessagesDelayed",
    ]
    found: Mapping[Any, str] = client.get_queue_attributes(QueueUrl=url, AttributeNames=names)[
        "Attributes"
    ]
    visible, in_flight, delayed = (int(found[name]) for name in names)
    return visible, in_flight, delayed


def dead_letters(client: SQSClient, address: SqsAddress) -> list[dict[str, str]]:
    """What is in a dead-letter queue: each message's body and attributes."""
    assert address.dead_letter_url is not None
    return [
        {"body": message["Body"]}
        | {
            name: value["StringValue"]
            for name, value in message.get("MessageAttributes", {}).items()
        }
        for message in receive(client, address.dead_letter_url)
    ]


@contextlib.contextmanager
def serving() -> Iterator[AwsServer]:
    """The server, for as long as the block lasts."""
    server = AwsServer()
    server.start()
    try:
        yield server
    finally:
        server.stop()
