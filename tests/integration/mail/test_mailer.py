"""The mailer with the real engine: Redis there, gone, and silent; from async and blocking code."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from tests.integration.mail.faulty_server import HANG, FaultyServer
from tests.support import ValkeyServer, free_port

from oxcart import App, JobState, Timeouts, mail
from oxcart.errors import ConfigError
from oxcart.mail import CircuitBreaker, Delivery, EmailJobs, Mailer, SmtpTemporary, payloads, sync
from oxcart.settings import Settings

WELCOME = payloads.welcome("ada@example.com", "Ada")


class SilentServer:
    """Takes connections and never says a word, like a machine that has just died."""

    def __init__(self) -> None:
        self.connection_count = 0
        self.url = ""

    @asynccontextmanager
    async def listen(self) -> AsyncIterator[SilentServer]:
        listening = await asyncio.start_server(self._never_answer, "127.0.0.1", 0)
        async with listening:
            self.url = f"redis://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
            yield self

    async def _never_answer(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.connection_count += 1
        while await reader.read(1_000):
            pass
        writer.close()


def make_settings(server: FaultyServer, folder: Path) -> Settings:
    return Settings(smtp_host=server.host, smtp_port=server.port, data_dir=folder)


def make_mailer(app: App, settings: Settings, breaker: CircuitBreaker | None = None) -> Mailer:
    jobs = EmailJobs.from_settings(app, settings)
    return Mailer(jobs, functools.partial(mail.open_transport, settings), breaker)


@pytest.fixture
def dead_url() -> str:
    """The URL of a Redis that is not running."""
    return f"redis://127.0.0.1:{free_port()}"


@pytest.fixture
async def dead_app(dead_url: str) -> AsyncIterator[App]:
    async with App(dead_url) as app:
        yield app


async def test_mail_is_sent_at_once_without_redis(
    dead_app: App, server: FaultyServer, tmp_path: Path
) -> None:
    mailer = make_mailer(dead_app, make_settings(server, tmp_path))

    delivery = await mailer.send(WELCOME)

    assert not delivery.queued
    (received,) = server.messages
    assert f"Message-ID: {delivery.message_id}\r\n".encode() in received.content


async def test_blocking_twin_sends_at_once_without_redis(
    dead_app: App, server: FaultyServer, tmp_path: Path
) -> None:
    mailer = make_mailer(dead_app, make_settings(server, tmp_path))

    delivery = await asyncio.to_thread(mailer.send_sync, WELCOME)

    assert not delivery.queued
    (received,) = server.messages
    assert f"Message-ID: {delivery.message_id}\r\n".encode() in received.content


async def test_one_caller_waits_for_a_silent_redis_and_the_next_do_not(
    server: FaultyServer, tmp_path: Path
) -> None:
    """Both kinds of callers share the breaker: not one more connection is tried."""
    async with (
        SilentServer().listen() as silent,
        App(silent.url, timeouts=Timeouts(command="200ms")) as app,
    ):
        mailer = make_mailer(app, make_settings(server, tmp_path))
        await mailer.send(WELCOME)
        connection_count = silent.connection_count

        for _ in range(3):
            await mailer.send(WELCOME)
            await asyncio.to_thread(mailer.send_sync, WELCOME)

        assert connection_count >= 1
        assert silent.connection_count == connection_count
        assert len(server.messages) == 7


@pytest.mark.parametrize("is_blocking", [False, True])
async def test_mail_sent_at_once_is_not_queued_when_a_frozen_redis_goes_on(
    own_valkey: ValkeyServer, server: FaultyServer, tmp_path: Path, prefix: str, is_blocking: bool
) -> None:
    """The command lies in the server's socket meanwhile, and is run when the server goes on."""
    async with App(own_valkey.url, prefix=prefix, timeouts=Timeouts(command="300ms")) as app:
        breaker = CircuitBreaker(timedelta(milliseconds=1))
        mailer = make_mailer(app, make_settings(server, tmp_path), breaker)

        async def send() -> Delivery:
            if is_blocking:
                return await asyncio.to_thread(mailer.send_sync, WELCOME)
            return await mailer.send(WELCOME)

        before = await send()
        with own_valkey.stopped():
            frozen = await send()
        after = await send()

        assert [before.queued, frozen.queued, after.queued] == [True, False, True]
        queue = app.queue("email")
        waiting = await queue.get_jobs(JobState.PRIORITIZED)
        assert {job.id for job in waiting} == {before.job_id, after.job_id}
        assert len(server.messages) == 1


async def test_mails_are_queued_again_when_redis_is_back(
    own_valkey: ValkeyServer, server: FaultyServer, tmp_path: Path, prefix: str
) -> None:
    async with App(own_valkey.url, prefix=prefix) as app:
        breaker = CircuitBreaker(timedelta(milliseconds=1))
        mailer = make_mailer(app, make_settings(server, tmp_path), breaker)
        assert (await mailer.send(WELCOME)).queued

        await asyncio.to_thread(own_valkey.kill)
        assert not (await mailer.send(WELCOME)).queued
        await asyncio.to_thread(own_valkey.start)
        delivery = await mailer.send(WELCOME)

        assert delivery.queued
        assert await app.queue("email").get_job(delivery.job_id) is not None


async def test_blocking_twin_queues(
    valkey_url: str, prefix: str, server: FaultyServer, tmp_path: Path
) -> None:
    async with App(valkey_url, prefix=prefix) as app:
        mailer = make_mailer(app, make_settings(server, tmp_path))

        delivery = await asyncio.to_thread(mailer.send_sync, WELCOME)

        assert delivery.queued
        job = await app.queue("email").get_job(delivery.job_id)
        assert job is not None
        assert job.data == {"type": "welcome", "toEmail": "ada@example.com", "name": "Ada"}
        assert job.priority == 2


async def test_caller_is_told_when_neither_redis_nor_smtp_answers(
    dead_app: App, tmp_path: Path
) -> None:
    settings = Settings(smtp_host="127.0.0.1", smtp_port=free_port(), data_dir=tmp_path)
    mailer = make_mailer(dead_app, settings)

    with pytest.raises(SmtpTemporary):
        await mailer.send(WELCOME)


async def test_mail_that_was_taken_is_not_called_late_because_of_a_slow_goodbye(
    dead_app: App, server: FaultyServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who is told that it failed sends it once more."""
    monkeypatch.setattr("oxcart.mail.connection._GOODBYE_SECONDS", 3)
    settings = make_settings(server, tmp_path)
    mailer = Mailer(
        EmailJobs.from_settings(dead_app, settings),
        functools.partial(mail.open_transport, settings),
        direct_limit=timedelta(seconds=2),
    )
    server.fault("QUIT", HANG)

    delivery = await mailer.send(WELCOME)

    assert not delivery.queued
    assert len(server.messages) == 1


async def test_production_without_smtp_is_told_so(dead_app: App, tmp_path: Path) -> None:
    mailer = make_mailer(dead_app, Settings(env="production", data_dir=tmp_path))

    with pytest.raises(ConfigError, match="SMTP_HOST"):
        await mailer.send(WELCOME)


@pytest.fixture
def development(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, prefix: str, dead_url: str
) -> Iterator[Path]:
    """An environment without SMTP and without a running Redis; gives its mailbox folder."""
    for name in ("SMTP_HOST", "SMTP_USER", "SMTP_PASS", "OXCART_ENV", "NODE_ENV"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("OXCART_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("OXCART_PREFIX", prefix)
    monkeypatch.setenv("REDIS_URL", dead_url)
    mail.configure(None)
    yield tmp_path / "mailbox"
    mail.configure(None)


async def test_production_of_node_keeps_no_mail_in_a_folder(
    development: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NODE_ENV", "production")

    with pytest.raises(ConfigError, match="SMTP_HOST is not set, and this is production"):
        await mail.send_welcome_email("ada@example.com", "Ada")

    await mail.aclose()
    assert mail.list_messages(development) == []


async def test_functions_deliver_to_the_development_mailbox(development: Path) -> None:
    await mail.send_welcome_email("ada@example.com", "Ada")
    await mail.send_verification_email("ada@example.com", "Ada", "token-1")
    await mail.send_password_reset_email("ada@example.com", "483920")
    await mail.send_notification_email("ada@example.com", "Ada", "A reply", "Bob replied.", "/w/1")
    await mail.aclose()

    assert [message.subject for message in mail.list_messages(development)] == [
        "Welcome to Cofactor Club",
        "Verify your email address",
        "Reset your password",
        "A reply",
    ]


def test_blocking_functions_deliver_to_the_development_mailbox(development: Path) -> None:
    sync.send_welcome_email("ada@example.com", "Ada")
    sync.send_verification_email("ada@example.com", "Ada", "token-1")
    sync.send_password_reset_email("ada@example.com", "483920")
    sync.send_notification_email("ada@example.com", "Ada", "A reply", "Bob replied.")
    asyncio.run(mail.aclose())

    assert [message.subject for message in mail.list_messages(development)] == [
        "Welcome to Cofactor Club",
        "Verify your email address",
        "Reset your password",
        "A reply",
    ]


def test_functions_work_in_one_event_loop_after_another(
    development: Path, valkey_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in scripts and in tests, where each has a loop of its own."""
    monkeypatch.setenv("REDIS_URL", valkey_url)

    async def send_and_close() -> bool:
        delivery = await mail.send_welcome_email("ada@example.com", "Ada")
        await mail.aclose()
        return delivery.queued

    assert [asyncio.run(send_and_close()) for _ in range(2)] == [True, True]
    assert not development.exists()


@pytest.mark.usefixtures("development")
async def test_mailer_that_was_configured_is_used(
    dead_app: App, server: FaultyServer, tmp_path: Path
) -> None:
    mail.configure(make_mailer(dead_app, make_settings(server, tmp_path)))

    await mail.send_welcome_email("ada@example.com", "Ada")
    await asyncio.to_thread(sync.send_welcome_email, "bob@example.com", "Bob")

    assert [m.recipient for m in server.messages] == ["ada@example.com", "bob@example.com"]
