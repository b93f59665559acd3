"""Every step of the dialogue, gone wrong in every way; after each the next mail gets through."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import timedelta

import aiosmtplib
import pytest
from tests.integration.mail.faulty_server import (
    CONTENT,
    DROP,
    GREETING,
    HANG,
    MID_CONTENT,
    FaultyServer,
)
from tests.integration.mail.test_transport import make_message
from tests.support import wait_until

from oxcart.mail.errors import SmtpMisconfigured, SmtpRefused, SmtpTemporary
from oxcart.mail.smtp_settings import SmtpSettings, TlsMode
from oxcart.mail.transport import SmtpTransport

STAGES = {
    GREETING: "connect",
    "EHLO": "connect",
    "MAIL": "sender",
    "RCPT": "recipient",
    "DATA": "content",
    MID_CONTENT: "content",
    CONTENT: "content",
}
STEPS = list(STAGES)
ANSWERED_STEPS = [step for step in STEPS if step != MID_CONTENT]
SHORT, LONG = timedelta(milliseconds=500), timedelta(minutes=1)


def make_transport(
    server: FaultyServer, limit: timedelta, *, connect_limit: timedelta | None = None
) -> SmtpTransport:
    return SmtpTransport(
        SmtpSettings(
            host=server.host,
            port=server.port,
            tls=TlsMode.NONE,
            connect_limit=connect_limit or limit,
            command_limit=limit,
            content_limit=limit,
        )
    )


@pytest.fixture
async def transport(server: FaultyServer) -> AsyncIterator[SmtpTransport]:
    """Waits long, so that a slow machine changes nothing."""
    async with make_transport(server, LONG) as opened:
        yield opened


@pytest.fixture
async def impatient(server: FaultyServer) -> AsyncIterator[SmtpTransport]:
    """Waits only a moment, for servers that never answer."""
    async with make_transport(server, SHORT) as opened:
        yield opened


@pytest.mark.parametrize("step", STEPS)
async def test_dropped_connection_is_temporary(
    transport: SmtpTransport, server: FaultyServer, step: str
) -> None:
    server.fault(step, DROP)

    with pytest.raises(SmtpTemporary) as caught:
        await transport.send(make_message())

    assert caught.value.stage == STAGES[step]
    assert caught.value.code is None
    await transport.send(make_message())
    assert len(server.messages) == 1
    assert server.connection_count == 2


@pytest.mark.parametrize("step", STEPS)
async def test_server_that_never_answers_is_temporary(
    impatient: SmtpTransport, server: FaultyServer, step: str
) -> None:
    server.fault(step, HANG)

    with pytest.raises(SmtpTemporary) as caught:
        await impatient.send(make_message())

    assert caught.value.stage == STAGES[step]
    await impatient.send(make_message())
    assert len(server.messages) == 1


@pytest.mark.parametrize("step", ANSWERED_STEPS)
async def test_temporary_answer_is_temporary(
    transport: SmtpTransport, server: FaultyServer, step: str
) -> None:
    server.fault(step, "451 4.3.0 try later")

    with pytest.raises(SmtpTemporary, match=r"^451 4\.3\.0 try later$") as caught:
        await transport.send(make_message())

    assert caught.value.stage == STAGES[step]
    await transport.send(make_message())
    assert len(server.messages) == 1


@pytest.mark.parametrize("step", ["MAIL", "RCPT", "DATA", CONTENT])
async def test_refusal_of_the_mail_is_for_good(
    transport: SmtpTransport, server: FaultyServer, step: str
) -> None:
    server.fault(step, "554 5.7.1 not wanted here")

    with pytest.raises(SmtpRefused, match=r"^554 5\.7\.1 not wanted here$"):
        await transport.send(make_message())

    await transport.send(make_message())
    assert len(server.messages) == 1
    assert server.connection_count == 1


@pytest.mark.parametrize("step", [GREETING, "EHLO"])
async def test_server_that_does_not_let_us_in_is_a_fault_of_the_settings(
    transport: SmtpTransport, server: FaultyServer, step: str, caplog: pytest.LogCaptureFixture
) -> None:
    server.fault(step, "554 5.7.1 go away")

    with pytest.raises(SmtpMisconfigured, match=r"^554 5\.7\.1 go away$"):
        await transport.send(make_message())

    (record,) = [each for each in caplog.records if each.message == "email.smtp_misconfigured"]
    assert record.levelname == "ERROR"
    await transport.send(make_message())
    assert len(server.messages) == 1


@pytest.mark.parametrize("step", ANSWERED_STEPS)
async def test_answer_that_is_no_smtp_is_temporary(
    transport: SmtpTransport, server: FaultyServer, step: str
) -> None:
    server.fault(step, "HTTP/1.1 400 Bad Request")

    with pytest.raises(SmtpTemporary):
        await transport.send(make_message())

    await transport.send(make_message())
    assert len(server.messages) == 1


async def test_mail_is_sent_once_the_server_answers_well_again(
    transport: SmtpTransport, server: FaultyServer
) -> None:
    server.fault("RCPT", "450 4.2.0 greylisted", "450 4.2.0 greylisted")

    for _ in range(2):
        with pytest.raises(SmtpTemporary):
            await transport.send(make_message())
    await transport.send(make_message())

    assert len(server.messages) == 1


@pytest.mark.parametrize("action", [DROP, HANG, "500 what?"])
async def test_failing_reset_costs_the_connection_but_hides_nothing(
    impatient: SmtpTransport, server: FaultyServer, action: str
) -> None:
    server.fault("RCPT", "550 5.1.1 no such user")
    server.fault("RSET", action)

    with pytest.raises(SmtpRefused, match="no such user"):
        await impatient.send(make_message())
    await impatient.send(make_message())

    assert len(server.messages) == 1
    assert server.connection_count == 2


@pytest.mark.parametrize("action", [DROP, HANG, "500 what?", "250 odd"])
async def test_failing_goodbye_does_no_harm(
    transport: SmtpTransport, server: FaultyServer, action: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("oxcart.mail.connection._GOODBYE_SECONDS", 0.1)
    await transport.send(make_message())
    server.fault("QUIT", action)

    await transport.aclose()

    assert len(server.messages) == 1
    await wait_until(lambda: not server.sessions, what="the connection is closed")


@pytest.mark.parametrize("step", [GREETING, "EHLO", "MAIL", "RCPT", "DATA", CONTENT, "RSET"])
async def test_cancelled_mail_costs_the_connection(server: FaultyServer, step: str) -> None:
    """The dialogue stopped somewhere; the next mail must not land in the middle of it."""
    # Python 3.11 may lose a cancellation while connecting, until connecting has timed out.
    async with make_transport(server, LONG, connect_limit=SHORT) as transport:
        if step == "RSET":
            server.fault("RCPT", "550 5.1.1 no such user")
        server.fault(step, HANG)
        async with asyncio.TaskGroup() as group:
            sending = group.create_task(transport.send(make_message()))
            await wait_until(lambda: not server.faults[step], what=f"the dialogue is at {step}")
            sending.cancel()
        assert sending.cancelled()

        await transport.send(make_message())

    assert len(server.messages) == 1
    assert server.connection_count == 2


async def test_cancellation_that_the_library_loses_sends_no_mail(
    transport: SmtpTransport, server: FaultyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``asyncio.wait_for`` of Python 3.11 drops one that comes together with the answer."""
    ehlo = aiosmtplib.SMTP.ehlo

    async def ehlo_and_lose(client: aiosmtplib.SMTP) -> aiosmtplib.SMTPResponse:
        response = await ehlo(client)
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(0)
        return response

    monkeypatch.setattr(aiosmtplib.SMTP, "ehlo", ehlo_and_lose)
    async with asyncio.TaskGroup() as group:
        sending = group.create_task(transport.send(make_message()))

    assert sending.cancelled()
    assert not server.messages


async def test_callers_waiting_behind_a_failing_mail_are_served(
    transport: SmtpTransport, server: FaultyServer
) -> None:
    server.fault(CONTENT, DROP)

    async with asyncio.TaskGroup() as group:
        sendings = [group.create_task(_outcome(transport)) for _ in range(5)]

    outcomes = [sending.result() for sending in sendings]
    assert outcomes.count("temporary") == 1
    assert outcomes.count("sent") == 4
    assert len(server.messages) == 4


async def _outcome(transport: SmtpTransport) -> str:
    try:
        await transport.send(make_message())
    except SmtpTemporary:
        return "temporary"
    return "sent"
