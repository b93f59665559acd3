"""An application's own jobs in the function: what becomes of each message, and of its job."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from tests.integration.serverless.aws import (
    Context,
    counts,
    dead_letters,
    event_of,
    make_queue,
    poll,
    receive,
    show_again,
)

from oxcart import (
    App,
    CallNext,
    Delay,
    Fail,
    FailedJob,
    JobContext,
    Provided,
    RateLimited,
    Retry,
    WaitForChildren,
    current_job,
    exponential,
)
from oxcart.errors import ConfigError
from oxcart.serverless import LambdaHandler, make_handler
from oxcart.sqs import SqsAddress, SqsBroker

if TYPE_CHECKING:
    from types_boto3_sqs.client import SQSClient


class Connection:
    """A resource of the application."""


@dataclass
class Shop:
    """An application on SQS, and what its handlers noted."""

    sqs: SQSClient
    address: SqsAddress
    broker: SqsBroker = field(init=False)
    app: App = field(init=False)
    handler: LambdaHandler = field(init=False)
    noted: list[Any] = field(default_factory=list)
    failed: list[FailedJob] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.broker = SqsBroker({self.address.queue: self.address})
        self.app = App(broker=self.broker)
        self.handler = make_handler(self.app, self.broker)
        self.app.on_failure(self.failed.append)

    def declare(self, function: Callable[..., Any], **options: Any) -> Any:
        return self.app.job("work", queue="orders", **options)(function)

    def send(self, data: Any, name: str = "work", **options: Any) -> str:
        return self.app.sync_queue("orders").add(name, data, **options).id

    def run_once(self, *, seconds: float = 60) -> dict[str, Any]:
        answer = poll(self.sqs, self.address.url, self.handler, seconds=seconds)
        assert answer is not None
        return answer

    def run_to_the_end(self) -> int:
        """Receive and run again and again, without waiting; how often."""
        for calls in range(20):
            messages = receive(self.sqs, self.address.url)
            if not messages:
                return calls
            answer = self.handler(event_of(self.address.url, messages), Context.of())
            left = {item["itemIdentifier"] for item in answer["batchItemFailures"]}
            for message in messages:
                if message["MessageId"] not in left:
                    self.sqs.delete_message(
                        QueueUrl=self.address.url, ReceiptHandle=message["ReceiptHandle"]
                    )
            show_again(
                self.sqs,
                self.address.url,
                [message for message in messages if message["MessageId"] in left],
            )
        raise AssertionError("the job comes back for ever")

    def dead(self) -> list[dict[str, str]]:
        return dead_letters(self.sqs, self.address)


@pytest.fixture
def shop(sqs: SQSClient) -> Iterator[Shop]:
    shop = Shop(sqs, make_queue(sqs, "orders"))
    yield shop
    shop.handler.close()


def test_failures_of_a_batch_come_back_and_the_others_do_not(shop: Shop) -> None:
    def work(n: int) -> int:
        if n % 3 == 0:
            raise OSError("the shop is closed")
        shop.noted.append(n)
        return n

    shop.declare(work)
    for n in range(10):
        shop.send({"n": n}, attempts=2, backoff=exponential("40s"))

    answer = shop.run_once()

    assert [1, 2, 4, 5, 7, 8] == sorted(shop.noted)
    assert 4 == len(answer["batchItemFailures"])
    assert (0, 4, 0) == counts(shop.sqs, shop.address.url)


def test_retry_waits_as_long_as_the_backoff_says(shop: Shop) -> None:
    def work() -> None:
        if current_job().attempt == 1:
            raise OSError("not yet")
        shop.noted.append(current_job().attempt)

    shop.declare(work)
    shop.send({}, attempts=2, backoff=exponential("1s"))

    shop.run_once()
    is_hidden = not receive(shop.sqs, shop.address.url)
    calls = 0
    deadline = time.monotonic() + 20
    while not shop.noted and time.monotonic() < deadline:
        calls += poll(shop.sqs, shop.address.url, shop.handler) is not None

    assert is_hidden
    assert ([2], 1) == (shop.noted, calls)


def test_attempts_are_counted_by_the_receiving(shop: Shop) -> None:
    def work() -> None:
        job = current_job()
        shop.noted.append((job.attempt, job.max_attempts))
        raise OSError("always")

    shop.declare(work, attempts=3)
    job_id = shop.send({}, attempts=3, backoff=exponential("40s"))

    calls = shop.run_to_the_end()

    (dead,) = shop.dead()
    assert [(1, 3), (2, 3), (3, 3)] == shop.noted
    assert ("always", "3", job_id) == (
        dead["OxcartReason"],
        dead["OxcartAttempts"],
        dead["OxcartJobId"],
    )
    assert [(job_id, "always")] == [(failed.id, failed.reason) for failed in shop.failed]
    assert 3 == calls


@pytest.mark.parametrize(
    ("error", "reason"),
    [(Fail("no such order"), "no such order"), (WaitForChildren(), "the handler waits for child")],
)
def test_failure_for_good_is_not_tried_again(shop: Shop, error: Exception, reason: str) -> None:
    def work() -> None:
        raise error

    shop.declare(work)
    shop.send({}, attempts=5)

    assert {"batchItemFailures": []} == shop.run_once()
    (dead,) = shop.dead()
    assert dead["OxcartReason"].startswith(reason)
    assert 1 == len(shop.failed)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("hello", "the message is no job: "),
        ('{"data": {}}', "the message is no job: Object missing required field `name`"),
        ('{"name": "work", "data": {"n": "x"}}', "the payload does not fit the handler"),
        ('{"name": "play", "data": {"n": 1}}', "no handler for job name 'play'"),
        ('{"name": "work", "data": {"n": 1}, "opts": []}', "the job's opts are not a readable"),
        ('{"name": "work", "timestamp": 1, "data": {"n": 1}, "opts": {"expireAfter": 5}}', "exp"),
    ],
)
def test_message_that_can_never_run_goes_to_the_dead_letters(
    shop: Shop, body: str, reason: str
) -> None:
    def work(n: int) -> None:
        raise AssertionError("it must not run")

    shop.declare(work)
    shop.sqs.send_message(QueueUrl=shop.address.url, MessageBody=body)

    assert {"batchItemFailures": []} == shop.run_once()
    (dead,) = shop.dead()
    assert dead["OxcartReason"].startswith(reason)
    assert body == dead["body"]


def test_message_of_another_program_runs_with_the_declared_options(shop: Shop) -> None:
    def work(n: int) -> None:
        shop.noted.append((n, current_job().max_attempts, bool(current_job().job_id)))

    shop.declare(work, attempts=7)
    shop.sqs.send_message(
        QueueUrl=shop.address.url, MessageBody='{"name": "work", "data": {"n": 4}}'
    )

    shop.run_once()

    assert [(4, 7, True)] == shop.noted


def test_reason_that_sqs_cannot_hold_is_made_to_fit(shop: Shop) -> None:
    def work() -> None:
        raise Fail("\x00\x1b[31m" + "é" * 5_000)

    shop.declare(work)
    shop.send({})

    shop.run_once()

    (dead,) = shop.dead()
    assert dead["OxcartReason"].startswith("\ufffd\ufffd[31mé")
    assert len(dead["OxcartReason"].encode()) <= 2_000


def test_job_that_kills_its_function_is_given_up(shop: Shop) -> None:
    def work() -> None:
        shop.noted.append(current_job().attempt)

    shop.declare(work)
    shop.send({}, attempts=2)
    for _ in range(5):  # two attempts and the spare ones, each ended by the death of the function
        show_again(shop.sqs, shop.address.url, receive(shop.sqs, shop.address.url))

    shop.run_once()

    (dead,) = shop.dead()
    assert dead["OxcartReason"].startswith("received 6 times and never finished")
    assert [] == shop.noted
    assert 1 == len(shop.failed)


def test_job_that_was_given_back_often_still_gets_an_attempt(shop: Shop) -> None:
    def work() -> None:
        shop.noted.append(current_job().attempt)

    shop.declare(work)
    shop.send({}, attempts=2)
    for _ in range(4):
        show_again(shop.sqs, shop.address.url, receive(shop.sqs, shop.address.url))

    shop.run_once()

    assert ([2], []) == (shop.noted, shop.dead())


@pytest.mark.parametrize(
    ("error", "seconds"),
    [
        (Retry("later", after="90s"), 90),
        (Delay("2h"), 7_200),
        (RateLimited("30s"), 30),
        (Delay("3d"), 42_300),
    ],
)
def test_handler_says_when_its_message_comes_back(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, error: Exception, seconds: int
) -> None:
    waits: list[int] = []
    change = shop.broker.client.change_visibility

    def watch(url: str, seconds_of: Any) -> None:
        waits.extend(seconds_of.values())
        change(url, seconds_of)

    monkeypatch.setattr(shop.broker.client, "change_visibility", watch)

    def work() -> None:
        raise error

    shop.declare(work)
    shop.send({}, attempts=3)

    answer = shop.run_once()

    assert 1 == len(answer["batchItemFailures"])
    assert [seconds] == waits
    assert (0, 1, 0) == counts(shop.sqs, shop.address.url)


def test_middlewares_hooks_and_resources_surround_the_job(shop: Shop) -> None:
    @shop.app.resource
    async def connection() -> AsyncIterator[Connection]:
        shop.noted.append("opened")
        yield Connection()
        shop.noted.append("closed")

    @shop.app.middleware
    async def around(job: JobContext, call_next: CallNext) -> object:
        shop.noted.append("in")
        result = await call_next(job)
        shop.noted.append("out")
        return result

    shop.app.before(lambda job: shop.noted.append(f"before {job.name}"))
    shop.app.after(lambda _, result: shop.noted.append(f"after {result}"))

    async def work(n: int, *, connection: Connection = Provided) -> int:
        assert isinstance(connection, Connection)
        await current_job().progress(50)
        await current_job().log("half of it")
        return n

    shop.declare(work)
    for n in (1, 2):
        shop.send({"n": n})
        shop.run_once()
    shop.handler.close()

    rounds = [["in", "before work", "out", f"after {n}"] for n in (1, 2)]
    assert ["opened", *rounds[0], *rounds[1], "closed"] == shop.noted


def test_what_a_job_in_sqs_cannot_have_fails_it(shop: Shop) -> None:
    async def work() -> None:
        await current_job().add_child("orders", "work")

    shop.declare(work, attempts=1)
    shop.send({})

    shop.run_once()

    assert "needs Redis, and jobs are in SQS here" in shop.dead()[0]["OxcartReason"]


def test_time_out_of_the_job_is_an_attempt(shop: Shop) -> None:
    def work() -> None:
        while True:
            time.sleep(0.01)

    shop.declare(work, timeout="300ms")
    shop.send({})

    assert {"batchItemFailures": []} == shop.run_once()
    assert "timed out after 300 ms" == shop.dead()[0]["OxcartReason"]


def test_dead_letter_that_cannot_be_sent_stays_in_its_queue(shop: Shop) -> None:
    def work() -> None:
        raise Fail("no such order")

    shop.declare(work)
    shop.send({})
    shop.sqs.delete_queue(QueueUrl=str(shop.address.dead_letter_url))

    answer = shop.run_once()

    assert 1 == len(answer["batchItemFailures"])
    assert [] == shop.failed
    assert (1, 0, 0) == counts(shop.sqs, shop.address.url)


def test_event_that_is_none_of_sqs_is_refused(shop: Shop) -> None:
    shop.declare(lambda: None)

    for event in ({}, {"Records": [{"eventSource": "aws:s3"}]}):
        with pytest.raises(ConfigError, match="an event that is not one of SQS"):
            shop.handler(event, Context.of())


def test_messages_of_an_unknown_queue_are_refused_as_a_whole(shop: Shop) -> None:
    shop.declare(lambda: None)
    shop.send({})
    event = event_of("https://sqs.test/1/strange", receive(shop.sqs, shop.address.url))

    with pytest.raises(ConfigError, match="messages of 'strange', which is no queue with jobs"):
        shop.handler(event, Context.of())


def test_function_without_jobs_says_so(sqs: SQSClient) -> None:
    broker = SqsBroker({"orders": make_queue(sqs, "orders")})
    handler = make_handler(App(broker=broker), broker)

    with pytest.raises(ConfigError, match="names none of the queues that have jobs"):
        handler({"Records": []}, Context.of())
    handler.close()


def test_body_holds_no_more_than_the_job(shop: Shop) -> None:
    shop.declare(lambda: None)
    shop.send({}, attempts=2, job_id="order-1")

    (message,) = receive(shop.sqs, shop.address.url)

    assert {"name", "id", "data", "opts", "timestamp"} == set(json.loads(message["Body"]))
