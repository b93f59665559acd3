from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from email.message import EmailMessage

import pytest
from tests.unit.mail.builders import make_letterhead, make_payloads

from oxcart.errors import PayloadError, StoreTimeout, StoreUnavailable
from oxcart.mail import payloads
from oxcart.mail.breaker import CircuitBreaker
from oxcart.mail.errors import SmtpRefused, SmtpTemporary
from oxcart.mail.mailer import Mailer
from oxcart.mail.payloads import EmailPayload


class FakeQueue:
    """A queue whose server can be switched off."""

    def __init__(self) -> None:
        self.letterhead = make_letterhead()
        self.added: list[tuple[str, EmailPayload]] = []
        self.calls = 0
        self.failure: Exception | None = None

    async def enqueue(self, payload: EmailPayload, *, job_id: str, created_at: datetime) -> None:
        self.enqueue_sync(payload, job_id=job_id, created_at=created_at)

    def enqueue_sync(self, payload: EmailPayload, *, job_id: str, created_at: datetime) -> None:
        self.created_at = created_at
        self.calls += 1
        if self.failure is not None:
            raise self.failure
        self.added.append((job_id, payload))


class FakeTransport:
    """Keeps what it sends, or answers with an error."""

    def __init__(self) -> None:
        self.sent: list[EmailMessage] = []
        self.failure: Exception | None = None
        self.threads: set[int] = set()
        self.hangs = False
        self.open_count = 0

    async def send(self, message: EmailMessage) -> str:
        self.threads.add(threading.get_ident())
        if self.hangs:
            await asyncio.Event().wait()
        if self.failure is not None:
            raise self.failure
        self.sent.append(message)
        return "250 OK"

    @asynccontextmanager
    async def open(self) -> AsyncIterator[FakeTransport]:
        self.open_count += 1
        try:
            yield self
        finally:
            self.open_count -= 1


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def queue() -> FakeQueue:
    return FakeQueue()


@pytest.fixture
def transport() -> FakeTransport:
    return FakeTransport()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def mailer(queue: FakeQueue, transport: FakeTransport, clock: Clock) -> Mailer:
    return Mailer(queue, transport.open, CircuitBreaker(clock=clock))


async def test_mail_is_queued(mailer: Mailer, queue: FakeQueue, transport: FakeTransport) -> None:
    delivery = await mailer.send_welcome_email("ada@example.com", "Ada")

    assert delivery.queued
    assert queue.added == [(delivery.job_id, payloads.welcome("ada@example.com", "Ada"))]
    made = round(queue.created_at.timestamp() * 1_000)
    assert delivery.message_id == f"<{delivery.job_id}.{made}.welcome@cofactor.world>"
    assert not transport.sent


async def test_each_function_makes_its_payload(mailer: Mailer, queue: FakeQueue) -> None:
    await mailer.send_welcome_email("ada@example.com", "Ada")
    await mailer.send_verification_email("ada@example.com", "Ada", "token-1")
    await mailer.send_password_reset_email("ada@example.com", "483920")
    await mailer.send_notification_email(
        "ada@example.com", "Ada", "A reply", "Bob replied.", link="/wiki/1"
    )

    assert [payload for _, payload in queue.added] == make_payloads()
    assert len({job_id for job_id, _ in queue.added}) == 4


@pytest.mark.parametrize("failure", [StoreUnavailable("down"), StoreTimeout("slow")])
async def test_mail_is_sent_at_once_when_redis_does_not_answer(
    mailer: Mailer, queue: FakeQueue, transport: FakeTransport, failure: Exception
) -> None:
    queue.failure = failure

    delivery = await mailer.send_welcome_email("ada@example.com", "Ada")

    assert not delivery.queued
    (message,) = transport.sent
    assert message["To"] == "ada@example.com"
    assert message["Message-ID"] == delivery.message_id
    assert transport.open_count == 0


async def test_only_the_first_caller_waits_for_redis(
    mailer: Mailer, queue: FakeQueue, transport: FakeTransport, clock: Clock
) -> None:
    queue.failure = StoreUnavailable("down")
    for _ in range(5):
        await mailer.send_welcome_email("ada@example.com", "Ada")
    assert queue.calls == 1

    clock.now += 15
    for _ in range(5):
        await mailer.send_welcome_email("ada@example.com", "Ada")

    assert queue.calls == 2
    assert len(transport.sent) == 10


async def test_mails_are_queued_again_when_redis_is_back(
    mailer: Mailer, queue: FakeQueue, clock: Clock
) -> None:
    queue.failure = StoreUnavailable("down")
    await mailer.send_welcome_email("ada@example.com", "Ada")
    queue.failure = None
    clock.now += 15

    deliveries = [await mailer.send_welcome_email("ada@example.com", "Ada") for _ in range(3)]

    assert [delivery.queued for delivery in deliveries] == [True, True, True]


async def test_caller_learns_that_the_server_refused(
    mailer: Mailer, queue: FakeQueue, transport: FakeTransport
) -> None:
    queue.failure = StoreUnavailable("down")
    transport.failure = SmtpRefused(stage="recipient", code=550, words="5.1.1 no such user")

    with pytest.raises(SmtpRefused, match=r"550 5\.1\.1 no such user"):
        await mailer.send_welcome_email("ada@example.com", "Ada")


async def test_caller_does_not_wait_for_ever(
    queue: FakeQueue, transport: FakeTransport, clock: Clock
) -> None:
    queue.failure = StoreUnavailable("down")
    transport.hangs = True
    mailer = Mailer(
        queue,
        transport.open,
        CircuitBreaker(clock=clock),
        direct_limit=timedelta(milliseconds=20),
    )

    with pytest.raises(SmtpTemporary, match=r"longer than 0\.02 s"):
        await mailer.send_welcome_email("ada@example.com", "Ada")
    assert transport.open_count == 0


async def test_bad_values_are_refused_before_anything_is_tried(
    mailer: Mailer, queue: FakeQueue
) -> None:
    with pytest.raises(PayloadError):
        await mailer.send_welcome_email("nobody", "Ada")
    with pytest.raises(PayloadError):
        await mailer.send_welcome_email("ada@example.com", "Ada\x00")

    assert queue.calls == 0


async def test_errors_of_the_queue_that_are_no_outage_reach_the_caller(
    mailer: Mailer, queue: FakeQueue, transport: FakeTransport
) -> None:
    queue.failure = RuntimeError("a bug")

    with pytest.raises(RuntimeError, match="a bug"):
        await mailer.send_welcome_email("ada@example.com", "Ada")
    assert not transport.sent


def test_blocking_twin_queues(mailer: Mailer, queue: FakeQueue) -> None:
    delivery = mailer.send_sync(payloads.welcome("ada@example.com", "Ada"))

    assert delivery.queued
    assert [job_id for job_id, _ in queue.added] == [delivery.job_id]


def test_blocking_twin_sends_at_once_and_shares_the_breaker(
    mailer: Mailer, queue: FakeQueue, transport: FakeTransport
) -> None:
    queue.failure = StoreUnavailable("down")

    deliveries = [mailer.send_sync(payloads.welcome("ada@example.com", "Ada")) for _ in range(3)]

    assert [delivery.queued for delivery in deliveries] == [False, False, False]
    assert queue.calls == 1
    assert [message["Message-ID"] for message in transport.sent] == [
        delivery.message_id for delivery in deliveries
    ]


async def test_blocking_twin_works_on_a_thread_that_runs_an_event_loop(
    mailer: Mailer, queue: FakeQueue, transport: FakeTransport
) -> None:
    """Blocking the loop is the caller's business, failing on it would be ours."""
    queue.failure = StoreUnavailable("down")

    on_the_loop = mailer.send_sync(payloads.welcome("ada@example.com", "Ada"))
    in_a_thread = await asyncio.to_thread(
        mailer.send_sync, payloads.welcome("ada@example.com", "Ada")
    )

    assert not on_the_loop.queued
    assert not in_a_thread.queued
    assert len(transport.sent) == 2
    assert threading.get_ident() not in transport.threads


def test_blocking_twin_passes_the_servers_refusal_on(
    mailer: Mailer, queue: FakeQueue, transport: FakeTransport
) -> None:
    queue.failure = StoreUnavailable("down")
    transport.failure = SmtpRefused(stage="recipient", code=550, words="no such user")

    with pytest.raises(SmtpRefused, match="550 no such user"):
        mailer.send_sync(payloads.welcome("ada@example.com", "Ada"))
