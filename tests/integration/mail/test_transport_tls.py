from __future__ import annotations

import socket

import pytest
from tests.integration.mail.conftest import Certificate
from tests.integration.mail.faulty_server import DROP, FaultyServer
from tests.integration.mail.test_transport import make_message

from oxcart.mail.errors import SmtpMisconfigured, SmtpTemporary
from oxcart.mail.smtp_settings import SmtpSettings, TlsMode
from oxcart.mail.transport import SmtpTransport

LOGIN = ("mailer", "hunter2 ü")


def make_settings(
    server: FaultyServer, tls: TlsMode, *, login: tuple[str, str] | None = None
) -> SmtpSettings:
    username, password = login or (None, None)
    return SmtpSettings(
        host="localhost" if _resolves_to_ipv4_first() else server.host,
        port=server.port,
        tls=tls,
        username=username,
        password=password,
    )


def _resolves_to_ipv4_first() -> bool:
    return socket.getaddrinfo("localhost", 25, type=socket.SOCK_STREAM)[0][0] == socket.AF_INET


def make_server(certificate: Certificate, tls: TlsMode, *, has_login: bool = False) -> FaultyServer:
    return FaultyServer(
        tls_context=None if tls is TlsMode.NONE else certificate.server_context(),
        is_implicit_tls=tls is TlsMode.IMPLICIT,
        login=LOGIN if has_login else None,
    )


@pytest.mark.parametrize("tls", [TlsMode.STARTTLS, TlsMode.IMPLICIT])
async def test_mails_go_encrypted_over_one_connection(
    certificate: Certificate, tls: TlsMode
) -> None:
    async with (
        make_server(certificate, tls) as server,
        SmtpTransport(
            make_settings(server, tls), tls_context=certificate.client_context()
        ) as transport,
    ):
        await transport.send(make_message())
        await transport.send(make_message())

    assert [message.is_encrypted for message in server.messages] == [True, True]
    assert server.connection_count == 1


@pytest.mark.parametrize("tls", [TlsMode.STARTTLS, TlsMode.IMPLICIT])
async def test_certificate_that_is_not_trusted_is_a_fault_of_the_settings(
    certificate: Certificate, tls: TlsMode, caplog: pytest.LogCaptureFixture
) -> None:
    async with (
        make_server(certificate, tls) as server,
        SmtpTransport(make_settings(server, tls)) as transport,
    ):
        with pytest.raises(SmtpMisconfigured, match="certificate verify failed"):
            await transport.send(make_message())

    assert not server.messages
    assert "email.smtp_misconfigured" in caplog.messages


async def test_server_without_starttls_gets_no_mail() -> None:
    """An attacker who strips the offer must not get the mail in clear instead."""
    async with (
        FaultyServer() as server,
        SmtpTransport(make_settings(server, TlsMode.STARTTLS)) as transport,
    ):
        with pytest.raises(SmtpMisconfigured, match="STARTTLS") as caught:
            await transport.send(make_message())

    assert caught.value.stage == "encrypt"
    assert server.commands_of(1) == ["EHLO"]


async def test_server_that_speaks_no_tls_at_all_is_a_fault_of_the_settings() -> None:
    async with (
        FaultyServer() as server,
        SmtpTransport(make_settings(server, TlsMode.IMPLICIT)) as transport,
    ):
        with pytest.raises(SmtpMisconfigured):
            await transport.send(make_message())


async def test_starttls_dropped_or_put_off_is_temporary(certificate: Certificate) -> None:
    async with (
        make_server(certificate, TlsMode.STARTTLS) as server,
        SmtpTransport(
            make_settings(server, TlsMode.STARTTLS), tls_context=certificate.client_context()
        ) as transport,
    ):
        for action in (DROP, "454 4.7.0 TLS not available now"):
            server.fault("STARTTLS", action)
            with pytest.raises(SmtpTemporary) as caught:
                await transport.send(make_message())
            assert caught.value.stage == "encrypt"
        await transport.send(make_message())

    assert len(server.messages) == 1


@pytest.mark.parametrize("tls", TlsMode)
async def test_login_is_used(certificate: Certificate, tls: TlsMode) -> None:
    """Over TLS, and in clear to this machine itself."""
    async with (
        make_server(certificate, tls, has_login=True) as server,
        SmtpTransport(
            make_settings(server, tls, login=LOGIN), tls_context=certificate.client_context()
        ) as transport,
    ):
        await transport.send(make_message())
        await transport.send(make_message())

    assert [message.login for message in server.messages] == ["mailer", "mailer"]
    assert server.commands_of(1).count("AUTH") == 1


async def test_wrong_password_is_a_fault_of_the_settings(
    certificate: Certificate, caplog: pytest.LogCaptureFixture
) -> None:
    tls = TlsMode.STARTTLS
    async with (
        make_server(certificate, tls, has_login=True) as server,
        SmtpTransport(
            make_settings(server, tls, login=("mailer", "wrong")),
            tls_context=certificate.client_context(),
        ) as transport,
    ):
        with pytest.raises(SmtpMisconfigured, match=r"^535 ") as caught:
            await transport.send(make_message())

    assert caught.value.stage == "log in"
    assert "email.smtp_misconfigured" in caplog.messages
    assert "wrong" not in caplog.text
    assert "MAIL" not in server.commands_of(1)


async def test_login_put_off_is_temporary(certificate: Certificate) -> None:
    tls = TlsMode.IMPLICIT
    async with (
        make_server(certificate, tls, has_login=True) as server,
        SmtpTransport(
            make_settings(server, tls, login=LOGIN), tls_context=certificate.client_context()
        ) as transport,
    ):
        server.fault("AUTH", *["454 4.7.0 later"] * 2)
        with pytest.raises(SmtpTemporary, match=r"454 4\.7\.0 later"):
            await transport.send(make_message())
        await transport.send(make_message())

    assert len(server.messages) == 1


async def test_server_without_login_is_a_fault_of_the_settings() -> None:
    async with (
        FaultyServer() as server,
        SmtpTransport(make_settings(server, TlsMode.NONE, login=LOGIN)) as transport,
    ):
        with pytest.raises(SmtpMisconfigured, match="authentication"):
            await transport.send(make_message())
