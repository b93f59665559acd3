"""The development mailbox: a real SMTP server on loopback that keeps every mail as a file.

Mails sent in development never leave the machine, and they go the whole way: the same transport,
the same dialogue.
"""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self
from uuid import uuid4

from aiosmtpd.smtp import SMTP, Envelope, Session

from oxcart._private_files import FILE_MODE, make_private_folder
from oxcart.mail.kept_mail import (
    NAME_TIME,
    RECIPIENT_HEADER,
    SENDER_HEADER,
    SUFFIX,
    KeptMessage,
    list_messages,
)

log = logging.getLogger("oxcart.mail")

LOOPBACK = "127.0.0.1"


class DevelopmentMailbox:
    """An SMTP server on loopback that writes each mail to a file, while ``async with`` lasts.

    Args:
        folder: made if it is not there. Several mailboxes may write to one folder.
        port: 0 for any free one.

    Attributes:
        host: where it listens; always loopback.
        port: its port, known once it runs.
    """

    def __init__(self, folder: Path, *, port: int = 0) -> None:
        self.folder = folder
        self.host = LOOPBACK
        self.port = port
        self._server: asyncio.Server | None = None
        self._sessions: set[_Session] = set()

    async def __aenter__(self) -> Self:
        make_private_folder(self.folder)
        _quieten_server_log()
        loop = asyncio.get_running_loop()
        keeper = _Keeper(self.folder)
        self._server = await loop.create_server(
            lambda: _Session(keeper, self._sessions), self.host, self.port
        )
        self.port = self._server.sockets[0].getsockname()[1]
        log.info("mailbox.started", extra={"mailbox": str(self.folder), "smtp_port": self.port})
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._server is None:
            return
        self._server.close()
        for session in tuple(self._sessions):
            session.hang_up()
        await self._server.wait_closed()
        self._server = None
        await asyncio.sleep(0)  # lets the loop close the sockets, should it stop right after this

    def list_messages(self) -> list[KeptMessage]:
        """List the mails in the folder, the newest last."""
        return list_messages(self.folder)


class _Keeper:
    """Writes accepted mails to the folder; aiosmtpd calls ``handle_DATA``."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def handle_DATA(  # noqa: N802  # the name is aiosmtpd's
        self, server: SMTP, session: Session, envelope: Envelope
    ) -> str:
        try:
            name = await asyncio.to_thread(self._keep, envelope)
        except OSError as error:
            log.exception("mailbox.write_failed", extra={"mailbox": str(self._folder)})
            return f"452 4.3.1 The mailbox cannot be written: {error.strerror}"
        return f"250 2.0.0 Kept as {name}"

    def _keep(self, envelope: Envelope) -> str:
        name = f"{datetime.now(UTC).strftime(NAME_TIME)}-{uuid4().hex[:8]}{SUFFIX}"
        # Written beside and renamed: a reader never meets half a mail.
        unfinished = self._folder / f".{name}.part"
        try:
            unfinished.touch(mode=FILE_MODE, exist_ok=False)
            unfinished.write_bytes(_trace(envelope) + (envelope.original_content or b""))
            unfinished.rename(self._folder / name)
        finally:
            unfinished.unlink(missing_ok=True)
        return name


def _trace(envelope: Envelope) -> bytes:
    """Give the header lines that record what the dialogue said."""
    recipients = ", ".join(envelope.rcpt_tos)
    lines = (f"{SENDER_HEADER}: <{envelope.mail_from}>", f"{RECIPIENT_HEADER}: {recipients}")
    return "".join(f"{line}\r\n" for line in lines).encode("utf-8", "surrogateescape")


class _Session(SMTP):
    """One client's dialogue; registers itself so that the mailbox can end it."""

    def __init__(self, keeper: _Keeper, sessions: set[_Session]) -> None:
        super().__init__(keeper, enable_SMTPUTF8=True, hostname="localhost", ident="oxcart mailbox")
        self._open_sessions = sessions

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._open_sessions.add(self)

    def connection_lost(self, error: Exception | None) -> None:
        self._open_sessions.discard(self)
        super().connection_lost(error)

    def hang_up(self) -> None:
        if self.transport is not None:
            self.transport.close()


def _quieten_server_log() -> None:
    """Keep whole mails, with the codes and tokens in them, out of the log."""
    logger = logging.getLogger("mail.log")  # aiosmtpd's; its DEBUG lines hold every line of a mail
    if logger.level == logging.NOTSET:
        logger.setLevel(logging.WARNING)
