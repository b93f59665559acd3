"""The decisions of the serverless parts that need no server."""

from __future__ import annotations

from typing import Any

import pytest

from oxcart import JobSpec
from oxcart._model.options import JobOptions
from oxcart._model.outcome import (
    Completed,
    Delayed,
    Failed,
    GivenBack,
    Lost,
    Outcome,
    RateLimited,
    Retried,
)
from oxcart.errors import ConfigError, PayloadError
from oxcart.serverless.batch import lanes_of
from oxcart.serverless.budget import Budget
from oxcart.serverless.entry import BuiltIn
from oxcart.serverless.records import Record, is_timer, read_event
from oxcart.serverless.verdicts import (
    GIVEN_BACK,
    Again,
    DeadLetter,
    Done,
    Verdict,
    attempts_made,
    is_hopeless,
    verdict_of,
)
from oxcart.sqs import SqsAddress, parse_addresses
from oxcart.sqs.groups import group_by_person
from oxcart.sqs.message import read_message, write_message
from oxcart.sqs.outgoing import Outgoing
from oxcart.sqs.sender import batches

URL = "https://sqs.eu-central-1.amazonaws.com/123456789012/"


@pytest.mark.parametrize(
    ("outcome", "verdict"),
    [
        (Completed(b"1"), Done()),
        (Failed("why", ""), DeadLetter("why")),
        (Retried("why", "", 1_500), Again(2, "why")),
        (Retried("why", "", 0), Again(0, "why")),
        (Retried("why", "", 10**9), Again(42_300, "why")),
        (Delayed(60_000), Again(60, "delayed by its handler")),
        (Delayed(0, until_ms=1), Again(0, "delayed by its handler")),
        (RateLimited(30_000), Again(30, "rate limited")),
        (GivenBack(), GIVEN_BACK),
        (Lost(), GIVEN_BACK),
    ],
)
def test_verdict_of_each_outcome(outcome: Outcome, verdict: Verdict) -> None:
    assert verdict == verdict_of(outcome)


@pytest.mark.parametrize(
    ("received", "allowed", "made", "hopeless"),
    [
        (1, 3, 0, False),
        (3, 3, 2, False),
        (6, 3, 2, False),
        (7, 3, 2, True),
        (1, 0, 0, False),
        (4, 1, 0, False),
        (5, 1, 0, True),
    ],
)
def test_attempts_follow_from_the_receiving(
    received: int, allowed: int, made: int, *, hopeless: bool
) -> None:
    options = JobOptions(attempts=allowed)

    assert (made, hopeless) == (
        attempts_made(received, options),
        is_hopeless(received, options),
    )


@pytest.mark.parametrize("remaining", [0.5, 3.0, 30.0, 900.0])
def test_budget_keeps_time_to_end_and_to_tell(remaining: float) -> None:
    budget = Budget.of(remaining, now=100.0)

    assert 100.0 < budget.take_until < budget.run_until < budget.tell_at < budget.ends_at
    assert budget.ends_at == 100.0 + remaining
    assert budget.ends_at - budget.run_until <= 10


def outgoing(size: int) -> Outgoing:
    return Outgoing(job_id="j", name="n", made_at_ms=0, body="", size_bytes=size)


@pytest.mark.parametrize(
    ("sizes", "parts"),
    [
        ([], []),
        ([1], [range(1)]),
        ([1] * 10, [range(10)]),
        ([1] * 11, [range(10), range(10, 11)]),
        ([60, 40, 1], [range(2), range(2, 3)]),
        ([100, 100], [range(1), range(1, 2)]),
    ],
)
def test_batches_fit_the_call(sizes: list[int], parts: list[range]) -> None:
    assert parts == list(batches([outgoing(size) for size in sizes], most_bytes=100))


def record(message_id: str, group_id: str | None = None) -> Record:
    return Record(
        message_id=message_id, receipt=message_id, body="", sqs_name="q", receive_count=1,
        sent_at_ms=0, group_id=group_id,
    )  # fmt: skip


def test_lanes_keep_each_groups_order() -> None:
    records = [record("1", "a"), record("2", "b"), record("3", "a"), record("4"), record("5")]

    lanes = [[item.message_id for item in lane] for lane in lanes_of(records)]

    assert [["1", "3"], ["2"], ["4"], ["5"]] == lanes


@pytest.mark.parametrize(("name", "group"), [("orders.fifo", "g"), ("orders", None)])
def test_groups_of_standard_queues_mean_no_order(name: str, group: str | None) -> None:
    raw: dict[str, Any] = {
        "messageId": "m", "receiptHandle": "r", "body": "", "eventSource": "aws:sqs",
        "eventSourceARN": f"arn:aws:sqs:eu-central-1:123456789012:{name}",
        "attributes": {
            "ApproximateReceiveCount": "2", "SentTimestamp": "5", "MessageGroupId": "g",
        },
    }  # fmt: skip

    (read,) = read_event({"Records": [raw]})

    assert (name, 2, 5, group) == (
        read.sqs_name,
        read.receive_count,
        read.sent_at_ms,
        read.group_id,
    )


def test_timer_is_told_from_messages() -> None:
    assert is_timer({"source": "aws.events"})
    assert is_timer({"source": "aws.scheduler"})
    assert not is_timer({"Records": [], "source": "aws.events"})
    assert not is_timer({})


def test_addresses_are_read_by_name() -> None:
    found = parse_addresses([f"email={URL}mails", f"export={URL}out.fifo"], [f"email={URL}dead"])

    assert {
        "email": SqsAddress(queue="email", url=f"{URL}mails", dead_letter_url=f"{URL}dead"),
        "export": SqsAddress(queue="export", url=f"{URL}out.fifo"),
    } == found
    assert ("mails", False) == (found["email"].sqs_name, found["email"].is_fifo)
    assert ("out.fifo", True) == (found["export"].sqs_name, found["export"].is_fifo)


@pytest.mark.parametrize(
    ("queues", "dead", "words"),
    [
        ([], [], "OXCART_SQS_QUEUES is not set, and OXCART_BROKER is sqs"),
        (["email"], [], "OXCART_SQS_QUEUES has 'email'; it wants name=url"),
        (["email=x"], [], "OXCART_SQS_QUEUES has 'x' for 'email', which is no URL"),
        ([f"email={URL}"], [], "is no URL of an SQS queue"),
        ([f"email={URL}a", f"email={URL}b"], [], "OXCART_SQS_QUEUES names queue 'email' twice"),
        ([f"a:b={URL}a"], [], "without ':'"),
        ([f"a={URL}a"], [f"b={URL}b"], "names queues that OXCART_SQS_QUEUES does not: b"),
        ([f"a={URL}a.fifo"], [f"a={URL}b"], "must both be FIFO, or neither"),
    ],
)
def test_wrong_addresses_are_named(queues: list[str], dead: list[str], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        parse_addresses(queues, dead)


def test_message_is_read_as_it_was_written() -> None:
    spec = JobSpec(name="resize", data={"n": [1, None, "ü"]}, options=JobOptions(attempts=4))

    read = read_message(write_message(spec, job_id="j-1", made_at_ms=7, prefix="bull"))

    assert ("j-1", "resize", True) == (read.job_id, read.name, read.has_options)
    assert '{"n":[1,null,"ü"]}'.encode() == read.fields[b"data"]
    assert (b'{"attempts":4}', b"7") == (read.fields[b"opts"], read.fields[b"timestamp"])


@pytest.mark.parametrize(
    "body",
    ["", "[]", "null", '{"name": 5}', '{"name": ""}', '{"name":"x","id":"' + "i" * 201 + '"}'],
)
def test_what_is_no_job_is_told(body: str) -> None:
    with pytest.raises(PayloadError, match="the message is no job"):
        read_message(body)


def test_groups_of_the_built_in_queues_are_people_and_hide_who_they_are() -> None:
    ada = group_by_person("email", JobSpec(name="welcome", data={"toEmail": "Ada@example.org "}))
    same = group_by_person("email", JobSpec(name="welcome", data={"toEmail": "ada@example.org"}))
    other = group_by_person("export", JobSpec(name="MEMBERS", data={"userId": "u1"}))

    assert ada == same != other
    assert "ada" not in ada
    assert "export" == group_by_person("export", JobSpec(name="MEMBERS", data=[1]))


@pytest.mark.parametrize(
    ("broker", "words"),
    [("redis", "OXCART_BROKER is 'redis'.*set it to sqs"), ("kafka", "OXCART_BROKER is 'kafka'")],
)
async def test_function_without_sqs_is_told_so_and_not_to_set_redis(
    broker: str, words: str
) -> None:
    environ = {"OXCART_ENV": "production", "OXCART_BROKER": broker}

    with pytest.raises(ConfigError, match=words):
        async with BuiltIn(environ).open():
            pass
