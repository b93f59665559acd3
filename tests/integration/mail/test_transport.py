from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from email.message import EmailMessage

import pytest
from tests.integration.mail.faulty_server import FaultyServer
from tests.support import wait_until
from tests.unit.mail.builders import make_letterhead

from oxcart.mail import payloads
from oxcart.mail.errors import SmtpRefused, SmtpTemporary
from oxcart.mail.messages import build_message
from oxcart.mail.smtp_settings import SmtpSettings, TlsMode
from oxcart.mail.transport import SmtpTransport


def make_message(to: str = "ada@example.com", text: str = "Text") -> EmailMessage:
    payload = payloads.notification(to, "Ada", "Title", text)
    return build_message(payload, make_letterhead(), job_id="job-1")


def make_settings(
    server: FaultyServer,
    *,
    idle_limit: timedelta = timedelta(minutes=1),
    max_mails: int = 100,
    max_connections: int = 5,
    fewer_for: timedelta = timedelta(minutes=1),
) -> SmtpSettings:
    return SmtpSettings(
        host=server.host,
        port=server.port,
        tls=TlsMode.NONE,
        idle_limit=idle_limit,
        max_mails=max_mails,
        max_connections=max_connections,
        fewer_for=fewer_for,
    )


@pytest.fixture
async def transport(server: FaultyServer) -> AsyncIterator[SmtpTransport]:
    async with SmtpTransport(make_settings(server)) as opened:
        yield opened


async def test_message_arrives_as_it_was_built(
    transport: SmtpTransport, server: FaultyServer
) -> None:
    """Byte for byte, lines that start with a dot included."""
    message = make_message(text=".\n..two\n.three")

    reply = await transport.send(message)

    (received,) = server.messages
    assert received.content == message.as_bytes()
    assert received.sender == "no-reply@cofactor.world"
    assert received.recipient == "ada@example.com"
    assert reply == "250 2.0.0 Ok: queued as 1"


async def test_many_mails_share_one_connection_where_only_one_is_allowed(
    server: FaultyServer,
) -> None:
    async with SmtpTransport(make_settings(server, max_connections=1)) as transport:
        async with asyncio.TaskGroup() as group:
            for number in range(20):
                group.create_task(transport.send(make_message(f"user{number}@example.com")))
        await transport.send(make_message())

    assert len(server.messages) == 21
    assert server.connection_count == 1
    assert server.commands_of(1).count("EHLO") == 1


async def test_mail_after_a_refused_one_goes_over_the_same_connection(
    transport: SmtpTransport, server: FaultyServer
) -> None:
    server.fault("RCPT", "550 5.1.1 no such user")

    with pytest.raises(SmtpRefused, match=r"^550 5\.1\.1 no such user$") as caught:
        await transport.send(make_message())
    await transport.send(make_message())

    assert caught.value.code == 550
    assert caught.value.words == "5.1.1 no such user"
    assert len(server.messages) == 1
    assert server.connection_count == 1
    assert "RSET" in server.commands_of(1)


async def test_connection_that_the_server_closed_meanwhile_is_replaced(
    transport: SmtpTransport, server: FaultyServer
) -> None:
    await transport.send(make_message())
    server.drop_connections()

    await transport.send(make_message())

    assert len(server.messages) == 2
    assert server.connection_count == 2


@pytest.mark.parametrize("action", ["421 4.4.2 idle for too long", "drop the connection"])
async def test_kept_connection_that_takes_no_more_mail_is_replaced(
    transport: SmtpTransport, server: FaultyServer, action: str
) -> None:
    """The server had taken nothing of the mail, so it goes out again without a failed attempt."""
    await transport.send(make_message())
    server.fault("MAIL", action)

    await transport.send(make_message())

    assert len(server.messages) == 2
    assert server.connection_count == 2


async def test_fresh_connection_that_takes_no_mail_is_not_tried_again_and_again(
    transport: SmtpTransport, server: FaultyServer
) -> None:
    await transport.send(make_message())
    server.fault("MAIL", "421 no", "421 no")

    with pytest.raises(SmtpTemporary, match="421 no"):
        await transport.send(make_message())

    assert server.connection_count == 2


async def test_unused_connection_is_closed_politely(server: FaultyServer) -> None:
    settings = make_settings(server, idle_limit=timedelta(milliseconds=20))
    async with SmtpTransport(settings) as transport:
        await transport.send(make_message())

        await wait_until(lambda: not server.sessions, what="the connection is closed")

        assert server.commands_of(1)[-1] == "QUIT"
        await transport.send(make_message())
    assert server.connection_count == 2


async def test_connection_is_replaced_after_its_share_of_mails(server: FaultyServer) -> None:
    async with SmtpTransport(make_settings(server, max_mails=2)) as transport:
        for _ in range(5):
            await transport.send(make_message())

    assert [message.connection for message in server.messages] == [1, 1, 2, 2, 3]
    assert server.commands_of(1)[-1] == "QUIT"


async def test_closing_says_goodbye(server: FaultyServer) -> None:
    async with SmtpTransport(make_settings(server)) as transport:
        await transport.send(make_message())

    await wait_until(lambda: not server.sessions, what="the connection is closed")
    assert server.commands_of(1)[-1] == "QUIT"


async def test_closing_without_a_connection_does_nothing(server: FaultyServer) -> None:
    async with SmtpTransport(make_settings(server)):
        pass

    assert server.connection_count == 0


async def test_address_outside_ascii_goes_to_a_server_that_takes_it(
    transport: SmtpTransport, server: FaultyServer
) -> None:
    await transport.send(make_message("zoë@bücher.example"))

    (received,) = server.messages
    assert received.recipient == "zoë@xn--bcher-kva.example"
    assert "To: zoë@xn--bcher-kva.example".encode() in received.content


async def test_address_outside_ascii_fails_for_good_elsewhere() -> None:
    async with (
        FaultyServer(has_utf8=False) as server,
        SmtpTransport(make_settings(server)) as transport,
    ):
        with pytest.raises(SmtpRefused, match="SMTPUTF8"):
            await transport.send(make_message("zoë@bücher.example"))
        await transport.send(make_message())

        assert len(server.messages) == 1
        assert server.connection_count == 1


async def test_no_server_is_temporary(server: FaultyServer) -> None:
    settings = make_settings(server)
    async with FaultyServer() as other:
        closed_port = other.port

    async with SmtpTransport(
        SmtpSettings(host=settings.host, port=closed_port, tls=TlsMode.NONE)
    ) as transport:
        with pytest.raises(SmtpTemporary) as caught:
            await transport.send(make_message())

    assert caught.value.stage == "connect"
    assert caught.value.code is None


def test_transport_leaves_nothing_open_when_its_loop_ends() -> None:
    """The sockets are closed before ``asyncio.run`` returns; a warning would fail this test."""

    async def send_one() -> int:
        async with FaultyServer() as server, SmtpTransport(make_settings(server)) as transport:
            await transport.send(make_message())
            return len(server.messages)

    assert asyncio.run(send_one(), debug=True) == 1
