"""FIFO queues keep their order after a failure, and the function ends before it is killed."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Callable, Iterator
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
)

from oxcart import App, Fail, current_job
from oxcart.serverless import LambdaHandler, make_handler
from oxcart.sqs import SqsAddress, SqsBroker

if TYPE_CHECKING:
    from types_boto3_sqs.client import SQSClient

Built = tuple[App, LambdaHandler]


@pytest.fixture
def build() -> Iterator[Callable[..., Built]]:
    """Makes an application on a queue, with its handler."""
    handlers: list[LambdaHandler] = []

    def make(address: SqsAddress, places: int = 10) -> Built:
        broker = SqsBroker(
            {address.queue: address},
            group_of=lambda _, spec: str(dict(spec.data)["group"]),  # type: ignore[arg-type]  # an object
        )
        app = App(broker=broker)
        handlers.append(make_handler(app, broker, places={address.queue: places}))
        return app, handlers[-1]

    yield make
    for handler in handlers:
        handler.close()


def numbers(sqs: SQSClient, address: SqsAddress, answer: dict[str, Any]) -> list[int]:
    """Which jobs came back, by their numbers, as they are received again."""
    assert answer["batchItemFailures"]
    return [json.loads(message["Body"])["data"]["n"] for message in receive(sqs, address.url)]


def test_group_waits_behind_a_failure_and_others_go_on(
    sqs: SQSClient, build: Callable[..., Built]
) -> None:
    address = make_queue(sqs, "orders", is_fifo=True)
    app, handler = build(address)
    ran: list[tuple[str, int]] = []

    @app.job(queue="orders", backoff=None)
    async def ship(group: str, n: int) -> None:
        ran.append((group, n))
        await asyncio.sleep(0)
        if (group, n, current_job().attempt) == ("a", 1, 1):
            raise OSError("the lorry is late")

    for n in range(3):
        for group in ("a", "b"):
            ship.enqueue_sync(group=group, n=n)

    first = poll(sqs, address.url, handler)
    after_first = list(ran)
    poll(sqs, address.url, handler)

    assert first is not None
    assert 2 == len(first["batchItemFailures"])
    assert [0, 1] == [n for group, n in after_first if group == "a"]
    assert [0, 1, 2] == [n for group, n in after_first if group == "b"]
    assert [0, 1, 1, 2] == [n for group, n in ran if group == "a"]
    assert (0, 0, 0) == counts(sqs, address.url)


def test_group_goes_on_behind_a_job_that_failed_for_good(
    sqs: SQSClient, build: Callable[..., Built]
) -> None:
    address = make_queue(sqs, "orders", is_fifo=True)
    app, handler = build(address)
    ran: list[int] = []

    @app.job(queue="orders")
    def ship(group: str, n: int) -> None:
        if n == 1:
            raise Fail(f"no address in {group}")
        ran.append(n)

    for n in range(3):
        ship.enqueue_sync(group="a", n=n)

    assert {"batchItemFailures": []} == poll(sqs, address.url, handler)
    assert [0, 2] == ran
    (dead,) = dead_letters(sqs, address)
    assert "no address in a" == dead["OxcartReason"]


def test_waiting_behind_a_failure_costs_no_attempt(
    sqs: SQSClient, build: Callable[..., Built]
) -> None:
    address = make_queue(sqs, "orders", is_fifo=True)
    app, handler = build(address)
    ran: list[tuple[int, int]] = []

    @app.job(queue="orders", attempts=2, backoff=None)
    async def ship(group: str, n: int) -> None:
        ran.append((n, current_job().attempt))
        if len(ran) <= 3:
            raise OSError("the road is closed")

    for n in range(3):
        ship.enqueue_sync(group="a", n=n)
    for _ in range(3):
        poll(sqs, address.url, handler)

    assert [(0, 1), (0, 2), (1, 1), (1, 2), (2, 1)] == ran
    assert 1 == len(dead_letters(sqs, address))
    assert (0, 0, 0) == counts(sqs, address.url)


def test_no_job_is_begun_when_the_time_is_nearly_over(
    sqs: SQSClient, build: Callable[..., Built]
) -> None:
    address = make_queue(sqs, "orders")
    app, handler = build(address, places=1)
    ran: list[int] = []

    @app.job(queue="orders")
    async def work(group: str, n: int) -> None:
        ran.append(n)
        await asyncio.sleep(0.4)

    for n in range(8):
        work.enqueue_sync(group="", n=n)

    began_at = time.monotonic()
    answer = poll(sqs, address.url, handler, seconds=2.4)

    assert answer is not None
    assert 8 == len(ran) + len(answer["batchItemFailures"])
    assert 1 <= len(ran) <= 4
    assert time.monotonic() - began_at < 10
    # What was not begun comes back at once, not when the time-out of the queue is over.
    assert set(range(8)) - set(ran) == set(numbers(sqs, address, answer))


def test_job_that_had_the_functions_time_to_itself_has_failed_an_attempt(
    sqs: SQSClient, build: Callable[..., Built]
) -> None:
    address = make_queue(sqs, "orders")
    app, handler = build(address)
    cancelled: list[int] = []

    @app.job(queue="orders", attempts=1)
    async def work(group: str, n: int) -> None:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            cancelled.append(n)
            raise

    work.enqueue_sync(group="", n=1)

    assert {"batchItemFailures": []} == poll(sqs, address.url, handler, seconds=1.2)
    assert [1] == cancelled
    (dead,) = dead_letters(sqs, address)
    assert dead["OxcartReason"].startswith("timed out after")
    assert "the function has no more time" in dead["OxcartReason"]


def test_job_that_began_late_is_given_back_and_no_attempt_is_lost(
    sqs: SQSClient, build: Callable[..., Built]
) -> None:
    address = make_queue(sqs, "orders")
    app, handler = build(address, places=1)

    @app.job(queue="orders", attempts=1)
    async def work(group: str, n: int) -> None:
        await asyncio.sleep(1.3 if n == 0 else 60)

    for n in (0, 1):
        work.enqueue_sync(group="", n=n)
        assert sum(counts(sqs, address.url)) == n + 1

    messages = receive(sqs, address.url)
    messages.sort(key=lambda message: int(json.loads(message["Body"])["data"]["n"]))
    answer = handler(event_of(address.url, messages), Context.of(4))

    assert [messages[1]["MessageId"]] == [
        item["itemIdentifier"] for item in answer["batchItemFailures"]
    ]
    assert [] == dead_letters(sqs, address)


def test_handler_that_ignores_its_end_does_not_keep_the_function(
    sqs: SQSClient, build: Callable[..., Built]
) -> None:
    address = make_queue(sqs, "orders")
    app, handler = build(address)

    is_over = threading.Event()

    @app.job(queue="orders", attempts=3)
    async def work(group: str, n: int) -> None:
        while not is_over.is_set():
            try:
                await asyncio.sleep(0.05)
            except asyncio.CancelledError:
                continue

    work.enqueue_sync(group="", n=1)
    messages = receive(sqs, address.url)
    context = Context.of(8)  # of which the telling has two thirds of a second

    answer = handler(event_of(address.url, messages), context)
    has_time_left = context.get_remaining_time_in_millis() > 0
    is_over.set()

    assert has_time_left
    assert [messages[0]["MessageId"]] == [
        item["itemIdentifier"] for item in answer["batchItemFailures"]
    ]
