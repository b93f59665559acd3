from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

import pytest
from tests.integration.mail.faulty_server import CONTENT, DROP, HANG, FaultyServer
from tests.support import wait_until
from tests.unit.mail.builders import make_payloads, make_wire_data, metadata_of

from oxcart import App, JobState, Retention, exponential
from oxcart.errors import JobFailed
from oxcart.mail import EmailJobs, Mailer, SmtpSettings, SmtpTransport, TlsMode
from oxcart.mail.payloads import EmailPayload

NODE_OPTIONS: dict[str, Any] = {"attempts": 3, "backoff": exponential("10ms"), "priority": 2}


@pytest.fixture
async def app(valkey_url: str, prefix: str) -> AsyncIterator[App]:
    async with App(valkey_url, prefix=prefix) as opened:
        yield opened


@pytest.fixture
def jobs(app: App) -> EmailJobs:
    return EmailJobs(
        app,
        app_name="Cofactor Club",
        app_url="https://cofactor.example",
        sender='"Cofactor Club" <no-reply@cofactor.world>',
    )


@pytest.fixture
async def transport(server: FaultyServer, jobs: EmailJobs) -> AsyncIterator[SmtpTransport]:
    settings = SmtpSettings(host=server.host, port=server.port, tls=TlsMode.NONE)
    async with SmtpTransport(settings) as opened:
        jobs.transport = opened
        yield opened


@asynccontextmanager
async def running_worker(app: App) -> AsyncIterator[None]:
    worker = app.worker({"email": 5})
    async with asyncio.TaskGroup() as group:
        group.create_task(worker.run())
        try:
            yield
        finally:
            worker.stop()


@pytest.fixture
async def worker(app: App, transport: SmtpTransport) -> AsyncIterator[None]:
    """A worker that sends to ``server``."""
    async with running_worker(app):
        yield


@pytest.fixture
def mailer(jobs: EmailJobs, transport: SmtpTransport) -> Mailer:
    @asynccontextmanager
    async def open_transport() -> AsyncIterator[SmtpTransport]:
        yield transport

    return Mailer(jobs, open_transport)


def headers(content: bytes) -> EmailMessage:
    message = message_from_bytes(content, policy=policy.default)
    assert isinstance(message, EmailMessage)
    return message


@pytest.mark.parametrize("payload", make_payloads(), ids=lambda payload: payload.type)
@pytest.mark.usefixtures("worker")
async def test_queued_mail_is_delivered(
    app: App, mailer: Mailer, server: FaultyServer, payload: EmailPayload
) -> None:
    delivery = await mailer.send(payload)

    job = await app.queue("email").get_job(delivery.job_id)
    assert job is not None
    assert await job.result() == delivery.message_id
    (received,) = server.messages
    assert received.recipient == "ada@example.com"
    assert headers(received.content)["Message-ID"] == delivery.message_id


@pytest.mark.parametrize("name", ["welcome", "verification", "password_reset", "notification"])
@pytest.mark.usefixtures("worker")
async def test_job_that_node_added_is_delivered(app: App, server: FaultyServer, name: str) -> None:
    job = await app.queue("email").add(name, make_wire_data(name), **NODE_OPTIONS)

    assert await job.result() == f"<{job.id}.{job.created_at_ms}.{name}@cofactor.world>"
    assert len(server.messages) == 1


def limits(retention: Retention | None) -> tuple[int | None, int | None]:
    assert retention is not None
    return retention.count, retention.age_seconds


@pytest.mark.usefixtures("transport")
async def test_job_on_the_wire_is_as_the_contract_says(app: App, mailer: Mailer) -> None:
    for payload in make_payloads():
        delivery = await mailer.send(payload)
        job = await app.queue("email").get_job(delivery.job_id)

        assert job is not None
        assert job.name == payload.type
        assert job.priority == (1 if payload.type == "password_reset" else 2)
        assert job.max_attempts == 3
        assert job.options.backoff == exponential("1s")
        assert limits(job.options.keep_completed) == (100, 24 * 3_600)
        assert limits(job.options.keep_failed) == (50, 7 * 24 * 3_600)


@pytest.mark.usefixtures("transport")
async def test_secrets_are_not_shown(app: App, mailer: Mailer) -> None:
    for payload in make_payloads():
        delivery = await mailer.send(payload)
        job = await app.queue("email").get_job(delivery.job_id)

        assert job is not None
        shown = str(app.redact(job, queue="email"))
        assert "token-1" not in shown
        assert "483920" not in shown
        assert "ada@example.com" in shown


@pytest.mark.parametrize(
    ("name", "key"),
    [("verification", "token"), ("password_reset", "resetCode"), ("notification", "title")],
)
@pytest.mark.usefixtures("worker")
async def test_job_without_what_it_needs_fails_for_good(
    app: App, server: FaultyServer, name: str, key: str
) -> None:
    data = make_wire_data(name)
    del metadata_of(data)[key]

    job = await app.queue("email").add(name, data, **NODE_OPTIONS)

    with pytest.raises(JobFailed, match=key):
        await job.result()
    assert (await job.refresh()).attempts_made == 1
    assert server.connection_count == 0


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"name": "Ada\x00Bcc: everybody@example.com"}, "name holds the control character"),
        ({"toEmail": "ada@example.com\r\nRCPT TO:<b@example.com>"}, "toEmail holds the control"),
        ({"toEmail": "nobody"}, "toEmail is not an e-mail address"),
    ],
)
@pytest.mark.usefixtures("worker")
async def test_injection_fails_for_good(
    app: App, server: FaultyServer, changes: dict[str, str], reason: str
) -> None:
    data = make_wire_data("welcome") | changes

    job = await app.queue("email").add("welcome", data, **NODE_OPTIONS)

    with pytest.raises(JobFailed, match=reason):
        await job.result()
    assert (await job.refresh()).attempts_made == 1
    assert server.connection_count == 0


@pytest.mark.usefixtures("worker")
async def test_refused_mail_fails_for_good_with_the_servers_words(
    app: App, server: FaultyServer
) -> None:
    server.fault("RCPT", "550 5.1.1 no such user here")

    job = await app.queue("email").add("welcome", make_wire_data("welcome"), **NODE_OPTIONS)

    with pytest.raises(JobFailed) as caught:
        await job.result()
    assert caught.value.reason == "550 5.1.1 no such user here"
    assert (await job.refresh()).attempts_made == 1
    assert await job.state() is JobState.FAILED


@pytest.mark.parametrize(
    ("step", "action"),
    [
        ("EHLO", DROP),
        ("MAIL", "421 4.3.2 shutting down"),
        ("RCPT", "450 4.2.0 try later"),
        ("DATA", DROP),
        (CONTENT, "452 4.3.1 out of space"),
        (CONTENT, DROP),
        ("EHLO", "554 5.7.1 not you"),
    ],
)
@pytest.mark.usefixtures("worker")
async def test_mail_is_tried_again_with_the_same_message_id(
    app: App, server: FaultyServer, step: str, action: str
) -> None:
    server.fault(step, action)

    job = await app.queue("email").add("welcome", make_wire_data("welcome"), **NODE_OPTIONS)

    message_id = await job.result()
    assert (await job.refresh()).attempts_made == 2
    (received,) = server.messages
    assert headers(received.content)["Message-ID"] == message_id


@pytest.mark.usefixtures("worker")
async def test_mail_fails_when_the_attempts_are_used_up(app: App, server: FaultyServer) -> None:
    server.fault("RCPT", *["450 4.2.0 try later"] * 3)

    job = await app.queue("email").add("welcome", make_wire_data("welcome"), **NODE_OPTIONS)

    with pytest.raises(JobFailed, match=r"450 4\.2\.0 try later"):
        await job.result()
    assert (await job.refresh()).attempts_made == 3
    assert not server.messages


@pytest.mark.usefixtures("worker")
async def test_many_jobs_share_as_many_connections_as_run_at_a_time(
    app: App, server: FaultyServer
) -> None:
    server.hold = asyncio.Barrier(5)
    queue = app.queue("email")
    async with asyncio.TaskGroup() as group:
        adding = [
            group.create_task(queue.add("welcome", make_wire_data("welcome"), **NODE_OPTIONS))
            for _ in range(50)
        ]
    for add in adding:
        await add.result().result()

    assert len(server.messages) == 50
    assert server.connection_count == 5
    assert server.most_under_way == 5


async def test_worker_stopped_in_the_middle_of_a_mail_loses_nothing(
    app: App, transport: SmtpTransport, server: FaultyServer
) -> None:
    server.fault(CONTENT, HANG)
    job = await app.queue("email").add("welcome", make_wire_data("welcome"), **NODE_OPTIONS)
    worker = app.worker({"email": 5})
    async with asyncio.TaskGroup() as group:
        group.create_task(worker.run())
        await wait_until(lambda: not server.faults[CONTENT], what="the mail is being sent")
        worker.stop(force=True)

    async with running_worker(app):
        await job.result()

    assert len(server.messages) == 1
    assert (await job.refresh()).attempts_made == 1


async def test_worker_without_a_transport_says_so(app: App, jobs: EmailJobs) -> None:
    assert jobs.transport is None
    job = await app.queue("email").add("welcome", make_wire_data("welcome"))

    async with running_worker(app):
        with pytest.raises(JobFailed, match="no SMTP transport"):
            await job.result()


@pytest.mark.usefixtures("worker")
async def test_message_id_differs_from_that_of_the_same_id_in_a_rebuilt_redis(
    app: App, server: FaultyServer
) -> None:
    """BullMQ's ids count from 1 again, and mail programs drop a second mail of one Message-ID."""
    sent = []
    for _ in range(2):
        job = await app.queue("email").add("welcome", make_wire_data("welcome"), **NODE_OPTIONS)
        assert job.id == "1"
        sent.append(await job.result())
        await app.queue("email").obliterate(force=True)

    assert len(set(sent)) == len(server.messages) == 2


@pytest.mark.parametrize(
    ("name", "age", "is_late"),
    [
        ("password_reset", timedelta(minutes=59), False),
        ("password_reset", timedelta(minutes=61), True),
        ("verification", timedelta(hours=23), False),
        ("verification", timedelta(hours=25), True),
        ("welcome", timedelta(days=3), False),
    ],
)
@pytest.mark.usefixtures("worker")
async def test_mail_that_outlived_its_code_is_not_sent(
    app: App, server: FaultyServer, name: str, age: timedelta, is_late: bool
) -> None:
    created = datetime.now(UTC) - age

    job = await app.queue("email").add(
        name, make_wire_data(name), timestamp=created, **NODE_OPTIONS
    )

    if is_late:
        with pytest.raises(JobFailed, match=r"not sent: what the mail holds is valid for \d+ h"):
            await job.result()
        assert (await job.refresh()).attempts_made == 1
    else:
        await job.result()
    assert len(server.messages) == (0 if is_late else 1)


async def test_recipient_gets_no_more_mails_in_an_hour_than_the_limit(
    app: App, server: FaultyServer, caplog: pytest.LogCaptureFixture
) -> None:
    """Attempts of one job count once; other recipients are not concerned."""
    jobs = EmailJobs(
        app,
        app_name="Club",
        app_url="https://club.example",
        sender="no-reply@club.example",
        recipient_limit=2,
    )
    queue = app.queue("email")
    server.fault(CONTENT, "451 4.3.0 later")  # the first job needs a second attempt

    async def result_of(address: str) -> object:
        data = make_wire_data("welcome") | {"toEmail": address}
        return await (await queue.add("welcome", data, **NODE_OPTIONS)).result()

    settings = SmtpSettings(host=server.host, port=server.port, tls=TlsMode.NONE)
    async with SmtpTransport(settings) as jobs.transport, running_worker(app):
        await result_of("Ada@example.com")
        await result_of("ada@Example.com")
        with pytest.raises(JobFailed, match="not sent: 2 e-mails were sent to a recipient"):
            await result_of("ada@example.com")
        with pytest.raises(JobFailed, match="OXCART_EMAILS_PER_RECIPIENT"):
            await result_of("bob@example.com, ada@example.com")
        await result_of("carol@example.com")

    assert len(server.messages) == 3
    lines = [each for each in caplog.records if each.message == "email.limit_reached"]
    assert len(lines) == 2
    assert not any("example.com" in str(line.__dict__) for line in lines)
