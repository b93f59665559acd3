"""The SMTP server takes no mail for a while: the queue is held, and no mail pays for it."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from email import message_from_bytes

import pytest
from tests.integration.mail.conftest import Certificate
from tests.integration.mail.faulty_server import CONTENT, DROP, GREETING, FaultyServer
from tests.support import wait_until
from tests.unit.mail.builders import make_wire_data

from oxcart import App, AppWorker, JobState, WorkerTrouble
from oxcart.errors import JobFailed
from oxcart.mail import EmailJobs, SmtpSettings, SmtpTransport, TlsMode
from oxcart.operations import get_all_queue_status
from oxcart.queue_status import ProblemKind

LOGIN = ("oxcart", "secret")
CHECK_S = 0.05
LINES = {"email.sending_held", "email.sending_resumed", "email.smtp_misconfigured"}


@dataclass(frozen=True)
class Running:
    worker: AppWorker
    task: asyncio.Task[None]


@asynccontextmanager
async def running_worker(
    url: str, prefix: str, settings: SmtpSettings, transport: SmtpTransport | None = None
) -> AsyncIterator[Running]:
    """A worker with an application, an SMTP transport and a breaker of its own."""
    async with (
        App(url, prefix=prefix) as app,
        transport or SmtpTransport(settings) as opened,
    ):

        @app.job(queue="other")
        async def ping() -> str:
            return "pong"

        jobs = EmailJobs(
            app, app_name="Club", app_url="https://club.example", sender="no-reply@club.example"
        )
        worker = app.worker({"email": 5, "other": 1})
        async with asyncio.TaskGroup() as group:

            async def run() -> None:
                async with jobs.sending(opened, worker, check_seconds=CHECK_S):
                    await worker.run()

            task = group.create_task(run())
            try:
                yield Running(worker, task)
            finally:
                worker.stop()


@pytest.fixture
async def site(valkey_url: str, prefix: str) -> AsyncIterator[App]:
    """The program that adds the mails; it runs no jobs."""
    async with App(valkey_url, prefix=prefix) as app:
        yield app


async def add_resets(app: App, count: int) -> None:
    data = make_wire_data("password_reset")
    for number in range(count):
        mail = data | {"toEmail": f"user{number}@example.com"}
        await app.queue("email").add("password_reset", mail, attempts=3, priority=1)


def settings_of(server: FaultyServer, tls: TlsMode = TlsMode.NONE) -> SmtpSettings:
    return SmtpSettings(
        host="localhost", port=server.port, tls=tls, username=LOGIN[0], password=LOGIN[1]
    )


def lines(caplog: pytest.LogCaptureFixture) -> Counter[str]:
    return Counter(record.message for record in caplog.records if record.message in LINES)


@pytest.fixture
async def server(certificate: Certificate) -> AsyncIterator[FaultyServer]:
    """A server that lets a user in."""
    async with FaultyServer(login=LOGIN, host="localhost") as running:
        yield running


def refuse_login(server: FaultyServer) -> Callable[[], None]:
    server.login = (LOGIN[0], "another one")
    return lambda: setattr(server, "login", LOGIN)


async def test_120_resets_survive_a_refused_login_with_two_workers(
    site: App, valkey_url: str, prefix: str, server: FaultyServer, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing fails and nothing is sent twice, and each worker logs one line at either end."""
    caplog.set_level(logging.INFO, "oxcart.mail")
    recover = refuse_login(server)
    queue = site.queue("email")
    await add_resets(site, 120)

    async with AsyncExitStack() as stack:
        workers = [
            await stack.enter_async_context(running_worker(valkey_url, prefix, settings_of(server)))
            for _ in range(2)
        ]
        await wait_until(
            lambda: all(one.worker.pauses.get("email") for one in workers), what="both hold"
        )
        refused = server.connection_count
        await wait_until(lambda: server.connection_count >= refused + 8, what="eight checks")
        held = await queue.get_counts()
        other = await site.queue("other").add("ping")
        assert await other.result() == "pong"
        recover()
        await wait_until(lambda: len(server.messages) >= 120, within=20, what="all arrive")

    assert held.prioritized == 120
    counts = await queue.get_counts()
    assert (counts.failed, counts.completed) == (0, 120)
    recipients = Counter(message.recipient for message in server.messages)
    assert set(recipients.values()) == {1}
    attempts = [job.attempts_made for job in await queue.get_jobs(JobState.COMPLETED, end=-1)]
    assert set(attempts) == {1}
    assert lines(caplog) == {"email.sending_held": 2, "email.sending_resumed": 2}
    held_lines = [each for each in caplog.records if each.message == "email.sending_held"]
    assert {each.__dict__["stage"] for each in held_lines} == {"log in"}
    assert all(each.__dict__["reason"].startswith("535 ") for each in held_lines)


def without_starttls(server: FaultyServer, certificate: Certificate) -> Callable[[], None]:
    context, server.tls_context = certificate.server_context(), None
    return lambda: setattr(server, "tls_context", context)


@pytest.mark.parametrize("trouble", ["greeting", "dropped", "starttls", "sender", "nobody listens"])
async def test_mails_wait_for_the_server_without_using_attempts(
    site: App,
    valkey_url: str,
    prefix: str,
    server: FaultyServer,
    certificate: Certificate,
    trouble: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "oxcart.mail")
    settings, context = settings_of(server), None
    match trouble:
        case "greeting":
            server.always[GREETING] = "554 no service"
        case "dropped":
            server.always["EHLO"] = DROP
        case "sender":
            server.always["MAIL"] = "421 4.3.2 the service is shutting down"
        case "starttls":
            recover_tls = without_starttls(server, certificate)
            settings, context = (
                settings_of(server, TlsMode.STARTTLS),
                certificate.client_context(),
            )
        case "nobody listens":
            await server.__aexit__(None, None, None)
    await add_resets(site, 12)

    transport = SmtpTransport(settings, tls_context=context)
    async with running_worker(valkey_url, prefix, settings, transport) as running:
        await wait_until(lambda: running.worker.pauses.get("email"), what="it holds the queue")
        await asyncio.sleep(3 * CHECK_S)  # not to synchronise: some checks fail meanwhile
        if trouble == "starttls":
            recover_tls()
        elif trouble == "nobody listens":
            await server.__aenter__()
        server.always.clear()
        await wait_until(lambda: len(server.messages) >= 12, what="all arrive")

    counts = await site.queue("email").get_counts()
    assert (counts.failed, counts.completed) == (0, 12)
    attempts = {job.attempts_made for job in await site.queue("email").get_jobs(JobState.COMPLETED)}
    assert attempts == {1}
    assert lines(caplog) == {"email.sending_held": 1, "email.sending_resumed": 1}


async def test_status_and_hooks_report_a_held_queue_and_stopping_is_clean(
    site: App, valkey_url: str, prefix: str, server: FaultyServer
) -> None:
    server.always[GREETING] = "554 no service"
    await add_resets(site, 8)
    troubles: list[WorkerTrouble] = []

    async with App(valkey_url, prefix=prefix) as app:
        app.on_error(troubles.append)
        jobs = EmailJobs(app, app_name="Club", app_url="https://club.example", sender="a@b.example")
        worker = app.worker({"email": 5}, lock="3s")
        async with SmtpTransport(settings_of(server)) as transport, asyncio.TaskGroup() as group:

            async def run() -> None:
                async with jobs.sending(transport, worker, check_seconds=CHECK_S):
                    await worker.run()

            running = group.create_task(run())
            await wait_until(lambda: worker.pauses.get("email"), what="it holds the queue")
            problem = None
            async with asyncio.timeout(5):
                while problem is None:
                    status = await get_all_queue_status(site, queues=["email"])
                    kinds = {each.kind: each.text for each in status.queues[0].problems}
                    problem = kinds.get(ProblemKind.WORKERS_PAUSED)
                    await asyncio.sleep(0.02)
            worker.stop()
            async with asyncio.timeout(3):
                await running

    assert "1 of 1 workers paused for" in problem
    assert "554 no service" in problem
    assert status.overall_status == "degraded"
    assert [trouble.queue for trouble in troubles] == ["email"]
    counts = await site.queue("email").get_counts()
    assert (counts.prioritized, counts.active, counts.failed) == (8, 0, 0)


async def test_failures_of_a_mail_are_still_its_own(
    site: App, valkey_url: str, prefix: str, server: FaultyServer
) -> None:
    """Neither a refused recipient nor a broken content holds the queue."""
    server.fault("RCPT", "550 5.1.1 no such user")
    server.fault(CONTENT, "452 4.2.2 mailbox full")

    async with running_worker(valkey_url, prefix, settings_of(server)) as running:
        queue = site.queue("email")
        refused = await queue.add("password_reset", make_wire_data("password_reset"), attempts=3)
        with pytest.raises(JobFailed, match="no such user"):
            await refused.result()
        retried = await queue.add("password_reset", make_wire_data("password_reset"), attempts=3)
        await retried.result()
        assert running.worker.pauses.get("email") is None

    assert (await retried.refresh()).attempts_made == 2
    (message,) = server.messages
    assert message_from_bytes(message.content)["Subject"] == "Reset your password"
