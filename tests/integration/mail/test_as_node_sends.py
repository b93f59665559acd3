"""Jobs that the Node worker sends, and what arrives of them from ours.

The expected recipients and subjects are those that Nodemailer 7.0.13 put on the wire for the same
data, but for fields that the Node worker got wrong: a name that is null greeted "null", and a link
without a slash led to another host.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage

import pytest
import redis
from tests.integration.mail.faulty_server import FaultyServer

from oxcart import App, Job, JsonValue, exponential
from oxcart.errors import JobFailed
from oxcart.mail import EmailJobs, SmtpSettings, SmtpTransport, TlsMode

ADA, BOB = "ada@example.com", "bob@example.com"
DISPLAYED = f'"Lovelace, Ada" <{ADA}>'
Json = dict[str, JsonValue]


@dataclass(frozen=True, kw_only=True)
class Case:
    """A job as Node adds it, and what arrives."""

    name: str = "welcome"
    data: Json = field(default_factory=dict)
    metadata: Json | None = None
    recipients: tuple[str, ...] = (ADA,)
    to: str = ADA
    subject: str = "Welcome to Cofactor Club"
    text: str = "Hi Ada,"


def note(**changes: JsonValue) -> Json:
    return {"title": "T", "message": "M"} | changes


CASES: dict[str, Case] = {
    "name null": Case(data={"name": None}, text="Hi,"),
    "name missing": Case(data={"name": "missing"}, text="Hi,"),
    "name a number": Case(data={"name": 7}, text="Hi 7,"),
    "name with a line end": Case(data={"name": "Ada\r\nBcc: x"}, text="Hi Ada Bcc: x,"),
    "name over-long": Case(data={"name": "n" * 400}, text=f"Hi {'n' * 299}…,"),
    "blanks": Case(data={"toEmail": f"  {ADA}\t"}),
    "line end at the end": Case(data={"toEmail": f"{ADA}\n"}),
    "display name": Case(data={"toEmail": DISPLAYED}, to=DISPLAYED),
    "display name outside ASCII": Case(data={"toEmail": f"Zoë <{ADA}>"}, to=f"Zoë <{ADA}>"),
    "two": Case(data={"toEmail": f"{ADA}, {BOB}"}, recipients=(ADA, BOB), to=f"{ADA}, {BOB}"),
    "two, semicolon": Case(
        data={"toEmail": f"{ADA}; Bob <{BOB}>"}, recipients=(ADA, BOB), to=f"{ADA}, Bob <{BOB}>"
    ),
    "list": Case(data={"toEmail": [ADA, BOB]}, recipients=(ADA, BOB), to=f"{ADA}, {BOB}"),
    "comma at the end": Case(data={"toEmail": f"{ADA},"}),
    "two dots": Case(
        data={"toEmail": "a..b@example.com"}, recipients=("a..b@example.com",), to="*"
    ),
    "host without dot": Case(
        data={"toEmail": "ada@intranet"}, recipients=("ada@intranet",), to="ada@intranet"
    ),
    "domain outside ASCII": Case(
        data={"toEmail": "ada@bücher.example"},
        recipients=("ada@xn--bcher-kva.example",),
        to="ada@xn--bcher-kva.example",
    ),
    "token a number": Case(
        name="verification",
        metadata={"token": 123},
        subject="Verify your email address",
        text="https://cofactor.example/auth/verify?token=123",
    ),
    "code a number": Case(
        name="password_reset",
        metadata={"resetCode": 483920},
        subject="Reset your password",
        text="483920",
    ),
    "title a number": Case(name="notification", metadata=note(title=42), subject="42"),
    "title with a line end": Case(
        name="notification",
        metadata=note(title="Hello\r\nBcc: evil@example.com"),
        subject="Hello Bcc: evil@example.com",
    ),
    "title with a tab": Case(name="notification", metadata=note(title="a\tb"), subject="a b"),
    "title over-long": Case(
        name="notification", metadata=note(title="x" * 400), subject="x" * 299 + "…"
    ),
    "title an encoded word": Case(
        name="notification", metadata=note(title="=?utf-8?q?a?="), subject="=?utf-8?q?a?="
    ),
    "message a number": Case(
        name="notification", subject="T", metadata=note(message=3.5), text="3.5"
    ),
    "link of the site": Case(
        name="notification",
        subject="T",
        metadata=note(link="https://cofactor.example/wiki/1"),
        text="\nhttps://cofactor.example/wiki/1\n",
    ),
    "link without a slash": Case(
        name="notification",
        subject="T",
        metadata=note(link="wiki/1"),
        text="\nhttps://cofactor.example/wiki/1\n",
    ),
    "type beside a different job name": Case(
        data={"type": "notification"}, metadata=note(), subject="T"
    ),
}

REFUSED: dict[str, tuple[Case, str]] = {
    "no address": (Case(data={"toEmail": "nobody"}), "toEmail is not an e-mail address: 'nobody'"),
    "empty": (Case(data={"toEmail": ""}), "toEmail is empty"),
    "smuggled recipient": (
        Case(data={"toEmail": f"{ADA}>\r\nRCPT TO:<{BOB}"}),
        "toEmail holds the control character U+000D",
    ),
    "encoded word as address": (
        Case(data={"toEmail": "=?utf-8?q?a=0d=0ab?=@example.com"}),
        "encoded word, is not part of an address",
    ),
    "secret to two": (
        Case(
            name="password_reset",
            data={"toEmail": f"{ADA}, {BOB}"},
            metadata={"resetCode": "1"},
        ),
        "toEmail has 2 recipients: an e-mail of type 'password_reset' goes to one address",
    ),
    "link of another site": (
        Case(name="notification", metadata=note(link="https://evil.example/")),
        "metadata.link is 'https://evil.example/'; expected a path such as /wiki/physics",
    ),
    "script": (
        Case(name="notification", metadata=note(link="javascript:alert(1)")),
        "metadata.link is 'javascript:alert(1)'",
    ),
    "NUL": (
        Case(name="notification", metadata=note(title="a\x00b")),
        "metadata.title holds the control character U+0000",
    ),
    "title an object": (
        Case(name="notification", metadata=note(title={"a": 1})),
        "metadata.title is a dict; expected text",
    ),
    "type unknown": (Case(data={"type": "promo"}), "type is 'promo'; expected one of welcome, "),
}


@pytest.fixture
async def app(valkey_url: str, prefix: str, server: FaultyServer) -> AsyncIterator[App]:
    """An application whose worker sends to ``server``."""
    settings = SmtpSettings(host=server.host, port=server.port, tls=TlsMode.NONE)
    async with App(valkey_url, prefix=prefix) as app, SmtpTransport(settings) as transport:
        jobs = EmailJobs(
            app,
            app_name="Cofactor Club",
            app_url="https://cofactor.example",
            sender="no-reply@cofactor.world",
        )
        jobs.transport = transport
        worker = app.worker({"email": 5})
        async with asyncio.TaskGroup() as group:
            group.create_task(worker.run())
            yield app
            worker.stop()


async def add(app: App, case: Case, job_id: str) -> Job[JsonValue]:
    data: Json = {"type": case.name, "toEmail": ADA, "name": "Ada", "metadata": case.metadata}
    data = {key: value for key, value in (data | case.data).items() if value != "missing"}
    return await app.queue("email").add(
        case.name, data, job_id=job_id, attempts=3, backoff=exponential("10ms")
    )


def text_of(message: EmailMessage) -> str:
    part = message.get_body(("plain",))
    assert part is not None
    return str(part.get_content()).replace("\r\n", "\n")


async def test_what_node_sends_ours_sends(
    app: App, server: FaultyServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    jobs = {what: await add(app, case, f"j{n}") for n, (what, case) in enumerate(CASES.items())}
    message_ids = {what: str(await job.result()) for what, job in jobs.items()}

    received = {}
    for each in server.messages:
        message = message_from_bytes(each.content, policy=policy.SMTP)
        assert isinstance(message, EmailMessage)
        received[str(message["Message-ID"])] = (each.recipients, message)
    for what, case in CASES.items():
        recipients, message = received[message_ids[what]]
        assert recipients == case.recipients, what
        assert message["Subject"] == case.subject, what
        assert case.to in ("*", str(message["To"])), what
        assert case.text in text_of(message) or case.metadata, what
        assert case.text == "Hi Ada," or case.text in text_of(message), what
        assert message["Bcc"] is None, what
    rows = [await job.logs() for job in jobs.values()]
    cut = [row for logged in rows for row in logged.rows]
    assert cut == [
        "name was cut from 400 to 300 characters",
        "metadata.title was cut from 400 to 300 characters",
    ]
    assert [r.message for r in caplog.records].count("email.text_cut") == len(cut)


async def test_what_is_dangerous_is_refused_by_name(app: App, server: FaultyServer) -> None:
    jobs = {
        what: await add(app, case, f"j{n}") for n, (what, (case, _)) in enumerate(REFUSED.items())
    }

    for what, (_, reason) in REFUSED.items():
        with pytest.raises(JobFailed) as caught:
            await jobs[what].result()
        assert reason in caught.value.reason, what
        assert (await jobs[what].refresh()).attempts_made == 1, what
    assert not server.commands


async def test_title_that_javascript_cut_inside_an_emoji_is_sent(
    app: App, server: FaultyServer, valkey: redis.Redis, prefix: str
) -> None:
    """``JSON.stringify`` escapes the half that is left, which msgspec alone does not read."""
    queue = app.queue("email")
    await queue.pause()
    job = await add(app, Case(name="notification", metadata=note(title="EMOJI")), "j1")
    text = valkey.hget(f"{prefix}:email:j1", "data")
    assert isinstance(text, bytes)
    valkey.hset(f"{prefix}:email:j1", "data", text.replace(b"EMOJI", rb"a\ud83d"))

    await queue.resume()
    await job.result()

    (received,) = server.messages
    assert message_from_bytes(received.content, policy=policy.SMTP)["Subject"] == "a\ufffd"


async def test_one_refused_recipient_of_two_does_not_keep_the_mail_from_the_other(
    app: App, server: FaultyServer, caplog: pytest.LogCaptureFixture
) -> None:
    """As Nodemailer does; to send it again would send it twice to the one who has it."""
    server.fault("RCPT", "550 5.1.1 no such user")
    case = CASES["two"]

    await (await add(app, case, "j1")).result()

    (received,) = server.messages
    assert received.recipients == (BOB,)
    (record,) = [r for r in caplog.records if r.message == "email.recipient_refused"]
    assert record.__dict__["reason"] == "550 5.1.1 no such user"


async def test_mail_whose_recipients_are_all_refused_fails(app: App, server: FaultyServer) -> None:
    server.fault("RCPT", "550 5.1.1 no such user", "550 5.1.1 nor this")

    with pytest.raises(JobFailed, match="no such user"):
        await (await add(app, CASES["two"], "j1")).result()

    assert not server.messages
