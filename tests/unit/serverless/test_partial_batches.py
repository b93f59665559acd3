"""SQS may take some messages of a call and not the others; its answers are botocore's stubs'."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.stub import ANY, Stubber

from oxcart import App, JobSpec
from oxcart.errors import ConfigError, PayloadError, StoreUnavailable
from oxcart.sqs import NotAllSent, SqsAddress, SqsBroker, sender

if TYPE_CHECKING:
    from types_boto3_sqs.client import SQSClient

URL = "https://sqs.eu-central-1.amazonaws.com/123456789012/images"


class Sqs:
    """A client whose answers are laid down beforehand."""

    def __init__(self) -> None:
        self.client: SQSClient = boto3.client(
            "sqs",
            region_name="eu-central-1",
            aws_access_key_id="testing",
            aws_secret_access_key="testing",
        )
        self.stubber = Stubber(self.client)
        self.stubber.activate()
        broker = SqsBroker({"images": SqsAddress(queue="images", url=URL)}, client=self.client)
        self.app = App(broker=broker)

    def answers(self, count: int, failed: dict[int, str], *, is_ours: bool = False) -> None:
        """Lay down what becomes of the next call."""
        entry = {"MessageId": "m", "MD5OfMessageBody": "d"}
        self.stubber.add_response(
            "send_message_batch",
            {
                "Successful": [{"Id": str(at), **entry} for at in range(count) if at not in failed],
                "Failed": [
                    {"Id": str(at), "Code": code, "SenderFault": is_ours, "Message": "said so"}
                    for at, code in failed.items()
                ],
            },
            {"QueueUrl": URL, "Entries": ANY},
        )


@pytest.fixture
def sqs(monkeypatch: pytest.MonkeyPatch) -> Iterator[Sqs]:
    monkeypatch.setattr(sender, "PAUSE_S", 0.0)
    made = Sqs()
    yield made
    made.stubber.assert_no_pending_responses()
    made.client.close()


def specs(count: int) -> list[JobSpec]:
    return [JobSpec(name="resize", data={"n": n}) for n in range(count)]


async def test_messages_that_sqs_could_not_take_are_sent_again(sqs: Sqs) -> None:
    sent: list[list[int]] = []

    def note(params: Any, **_: Any) -> None:
        sent.append([json.loads(item["MessageBody"])["data"]["n"] for item in params["Entries"]])

    sqs.client.meta.events.register("provide-client-params.sqs.SendMessageBatch", note)
    sqs.answers(4, {1: "InternalError", 3: "ServiceUnavailable"})
    sqs.answers(4, {3: "ServiceUnavailable"})
    sqs.answers(4, {})

    jobs = await sqs.app.queue("images").add_many(specs(4))

    assert [[0, 1, 2, 3], [1, 3], [3]] == sent
    assert 4 == len({job.id for job in jobs})


async def test_what_sqs_never_takes_is_told_beside_what_was_sent(sqs: Sqs) -> None:
    sqs.answers(3, {1: "InvalidMessageContents"}, is_ours=True)

    with pytest.raises(NotAllSent, match="1 of 3 jobs were not sent to queue 'images'") as caught:
        await sqs.app.queue("images").add_many(specs(3))

    assert 2 == caught.value.sent_count
    assert [1] == list(caught.value.failures)
    assert isinstance(caught.value.failures[1], PayloadError)


async def test_service_that_fails_thrice_is_given_up(sqs: Sqs) -> None:
    for _ in range(3):
        sqs.answers(1, {0: "InternalError"})

    with pytest.raises(StoreUnavailable, match=r"SQS could not take job 'resize'.* 3 times"):
        await sqs.app.queue("images").add("resize", {})


async def test_call_that_fails_ends_the_sending(sqs: Sqs) -> None:
    sqs.answers(10, {})
    sqs.stubber.add_client_error("send_message_batch", "AccessDenied", "no rights", 403)

    with pytest.raises(NotAllSent, match="number 10: SQS refused SendMessageBatch: AccessDenied"):
        await sqs.app.queue("images").add_many(specs(25))


def test_blocking_code_is_told_the_same(sqs: Sqs) -> None:
    sqs.answers(2, {0: "InvalidMessageContents"}, is_ours=True)

    with pytest.raises(NotAllSent):
        sqs.app.sync_queue("images").add_many(specs(2))


async def test_what_was_taken_stays_sent_when_the_second_try_cannot_reach_sqs(sqs: Sqs) -> None:
    sqs.answers(4, {1: "InternalError"})
    sqs.stubber.add_client_error("send_message_batch", "ServiceUnavailable", "away", 503)

    with pytest.raises(NotAllSent, match="1 of 4 jobs were not sent") as caught:
        await sqs.app.queue("images").add_many(specs(4))

    assert [1] == list(caught.value.failures)


async def test_missing_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("boto3", "botocore", "botocore.exceptions"):
        monkeypatch.setitem(sys.modules, name, None)
    app = App(broker=SqsBroker({"images": SqsAddress(queue="images", url=URL)}))

    with pytest.raises(ConfigError, match=r"pip install 'oxcart\[sqs\]'"):
        await app.queue("images").add("resize", {})
