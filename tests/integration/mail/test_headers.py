"""Header fields as they arrive at an SMTP server: nothing in a payload can write one."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import AsyncIterator
from email import message_from_bytes, policy
from email.message import EmailMessage
from email.policy import EmailPolicy

import pytest
from tests.integration.mail.faulty_server import FaultyServer
from tests.unit.mail.builders import make_letterhead

from oxcart.errors import PayloadError
from oxcart.mail import payloads
from oxcart.mail.messages import build_message
from oxcart.mail.smtp_settings import SmtpSettings, TlsMode
from oxcart.mail.transport import SmtpTransport

INJECTED = (
    "Your account\r\nReply-To: e@evil.example\r\nContent-Type: text/html\r\n\r\n"
    "<h1>Pay at <a href=//evil.example>evil</a></h1><!--"
)
OURS = [
    *("From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted"),
    *("MIME-Version", "Content-Type"),
]


def in_base64(text: str) -> str:
    return f"=?utf-8?b?{b64encode(text.encode()).decode()}?="


def in_quoted_printable(text: str) -> str:
    return "=?utf-8?q?" + "".join(f"={byte:02X}" for byte in text.encode()) + "?="


ENCODED = [
    in_base64(INJECTED),
    in_quoted_printable("Hi\r\nBcc: e@evil.example"),
    "Hello " + in_base64("a\nBcc: e@evil.example") + " and " + in_base64("b\r\rX-A: b"),
    "=?us-ascii?q?a=0ABcc:_e=40evil.example?= =?utf-8?b?DQoNCg==?=",
    f"Grüße {in_base64(INJECTED)}",
    f'"{in_base64(INJECTED)}"',
    "=?utf-8*en?b?DQpCY2M6IGVAZXZpbC5leGFtcGxl?=",
]


@pytest.fixture
async def transport(server: FaultyServer) -> AsyncIterator[SmtpTransport]:
    settings = SmtpSettings(host=server.host, port=server.port, tls=TlsMode.NONE)
    async with SmtpTransport(settings) as opened:
        yield opened


def received(server: FaultyServer) -> EmailMessage:
    message = message_from_bytes(server.messages[-1].content, policy=policy.SMTP)
    assert isinstance(message, EmailMessage)
    return message


async def test_encoded_word_in_a_title_arrives_as_the_text_that_it_is(
    server: FaultyServer, transport: SmtpTransport
) -> None:
    """RFC 2047 words are text to us; decoded, they could hold line ends and so header fields."""
    for title in ENCODED:
        payload = payloads.notification("victim@club.example", "V", title, "M")
        await transport.send(build_message(payload, make_letterhead(), job_id="1"))

        message = received(server)
        assert message.keys() == OURS
        assert message["Subject"] == title
        assert message.get_content_type() == "multipart/alternative"
        assert b"\nBcc" not in server.messages[-1].content
        assert b"\nReply-To" not in server.messages[-1].content


async def test_encoded_word_in_the_application_s_name_and_sender_arrives_as_text(
    server: FaultyServer, transport: SmtpTransport
) -> None:
    name = in_base64("A\nBcc: e@e.ee")
    letterhead = make_letterhead(app_name=name, sender=f'"{name}" <a@x.example>')

    await transport.send(
        build_message(payloads.welcome("ada@example.com", "Ada"), letterhead, job_id="1")
    )

    message = received(server)
    assert message.keys() == OURS
    assert message["From"].addresses[0].display_name == name
    assert message["Subject"] == f"Welcome to {name}"


class _Careless(EmailPolicy):
    """Writes a line end where a value says so, as unmended Pythons do."""

    def fold_binary(self, name: str, value: str) -> bytes:
        return f"{name}: {value}\r\n".replace("[CRLF]", "\r\n").encode()


@pytest.mark.parametrize("header", ["Subject", "X-Campaign"])
@pytest.mark.parametrize("value", ["a[CRLF]Bcc: e@evil.example", "a[CRLF][CRLF]<h1>evil</h1>"])
async def test_message_of_another_builder_that_writes_fields_of_its_own_is_not_sent(
    server: FaultyServer, transport: SmtpTransport, header: str, value: str
) -> None:
    message = EmailMessage(policy=_Careless())
    for field in ("From", "To", header):
        message[field] = "ada@example.com" if field in ("From", "To") else value
    message.set_content("Text")

    with pytest.raises(PayloadError, match="not sent"):
        await transport.send(message)

    assert not server.commands
