from __future__ import annotations

import asyncio
import logging
import os
import socket
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from pathlib import Path

import pytest
from tests.integration.mail.test_transport import make_message

from oxcart.mail.errors import SmtpTemporary
from oxcart.mail.kept_mail import list_messages
from oxcart.mail.mailbox import DevelopmentMailbox
from oxcart.mail.smtp_settings import SmtpSettings, TlsMode
from oxcart.mail.transport import SmtpTransport


def transport_to(mailbox: DevelopmentMailbox) -> SmtpTransport:
    return SmtpTransport(SmtpSettings(host=mailbox.host, port=mailbox.port, tls=TlsMode.NONE))


def list_files(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


async def test_mail_is_kept_as_a_file_that_mail_programs_read(tmp_path: Path) -> None:
    sent = make_message(text="Grüße")
    async with (
        DevelopmentMailbox(tmp_path / "mailbox") as mailbox,
        transport_to(mailbox) as transport,
    ):
        reply = await transport.send(sent)

    (path,) = (tmp_path / "mailbox").glob("*.eml")
    kept = message_from_bytes(path.read_bytes(), policy=policy.SMTP)
    assert kept["Delivered-To"] == "ada@example.com"
    assert kept["Return-Path"] == "<no-reply@cofactor.world>"
    assert path.read_bytes().endswith(sent.as_bytes())
    assert reply.endswith(path.name)


async def test_messages_are_listed_in_the_order_they_came(tmp_path: Path) -> None:
    started_at = datetime.now(UTC) - timedelta(seconds=1)
    async with DevelopmentMailbox(tmp_path) as mailbox, transport_to(mailbox) as transport:
        for number in range(5):
            await transport.send(make_message(f"user{number}@example.com"))

        messages = mailbox.list_messages()

    assert [m.recipient for m in messages] == [f"user{n}@example.com" for n in range(5)]
    first = messages[0]
    assert first.subject == "Title"
    assert first.sender == "no-reply@cofactor.world"
    assert started_at < first.received_at <= datetime.now(UTC)
    assert first.size_bytes == first.path.stat().st_size
    assert messages == list_messages(tmp_path)


async def test_several_mailboxes_share_a_folder(tmp_path: Path) -> None:
    async with (
        DevelopmentMailbox(tmp_path) as one,
        DevelopmentMailbox(tmp_path) as other,
        transport_to(one) as to_one,
        transport_to(other) as to_other,
    ):
        await to_one.send(make_message("a@example.com"))
        await to_other.send(make_message("b@example.com"))

    assert [m.recipient for m in list_messages(tmp_path)] == ["a@example.com", "b@example.com"]


async def test_mailbox_listens_on_loopback_only(tmp_path: Path) -> None:
    async with DevelopmentMailbox(tmp_path) as mailbox:
        assert mailbox.host == "127.0.0.1"
        with socket.socket() as other_address:
            # Another address of this machine takes the port, so the mailbox has not.
            other_address.bind(("127.0.0.2", mailbox.port))


async def test_half_a_mail_is_never_seen(tmp_path: Path) -> None:
    async with DevelopmentMailbox(tmp_path) as mailbox:
        reader, writer = await asyncio.open_connection(mailbox.host, mailbox.port)
        writer.write(b"EHLO x\r\nMAIL FROM:<a@x.example>\r\nRCPT TO:<b@x.example>\r\nDATA\r\n")
        while b"354" not in await reader.readline():
            pass
        writer.write(b"Subject: half\r\n")
        writer.close()
        await writer.wait_closed()

    assert not list_files(tmp_path)


async def test_full_disk_is_a_temporary_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, data: bytes) -> int:
        raise OSError(28, "No space left on device")

    async with DevelopmentMailbox(tmp_path) as mailbox, transport_to(mailbox) as transport:
        monkeypatch.setattr(Path, "write_bytes", full)
        with pytest.raises(SmtpTemporary, match="No space left on device"):
            await transport.send(make_message())
        monkeypatch.undo()
        await transport.send(make_message())

    assert len(list_messages(tmp_path)) == 1


async def test_leaving_ends_open_connections(tmp_path: Path) -> None:
    async with DevelopmentMailbox(tmp_path) as mailbox:
        reader, writer = await asyncio.open_connection(mailbox.host, mailbox.port)
        await reader.readline()

    assert await reader.read() == b""
    writer.close()
    await writer.wait_closed()


def test_listing_bears_with_what_lies_in_the_folder(tmp_path: Path) -> None:
    (tmp_path / "saved by hand.eml").write_bytes(b"Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n\r\nx")
    (tmp_path / "empty.eml").touch()
    (tmp_path / "notes.txt").touch()
    (tmp_path / ".20260101T000000.000000Z-1.eml.part").touch()
    os.utime(tmp_path / "saved by hand.eml", (1_000_000_000, 1_000_000_000))

    messages = list_messages(tmp_path)

    assert [m.subject for m in messages] == ["", "Grüße"]
    assert messages[1].received_at == datetime(2001, 9, 9, 1, 46, 40, tzinfo=UTC)


def test_folder_that_is_not_there_holds_no_messages(tmp_path: Path) -> None:
    assert list_messages(tmp_path / "nowhere") == []


async def test_content_of_mails_stays_out_of_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    async with DevelopmentMailbox(tmp_path) as mailbox, transport_to(mailbox) as transport:
        await transport.send(make_message(text="the-secret-code"))

    assert "the-secret-code" not in caplog.text
