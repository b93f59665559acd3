"""Sends messages over SMTP on one connection that is kept between mails.

The rules of the kept connection:

- one mail at a time; the others wait for the lock;
- a mail that the server refused leaves the connection usable (RSET); anything that leaves the
  dialogue at an unknown point (a lost connection, a time-out, a cancelled handler) closes it;
- a kept connection that the server has meanwhile closed is replaced, and the mail that met it
  goes out on the new one: nothing of it had been accepted;
- it is closed after ``idle_limit`` without a mail and after ``max_mails`` mails.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, Self, cast

import aiosmtplib

from oxcart.mail.errors import SmtpMisconfigured
from oxcart.mail.smtp_settings import TlsMode
from oxcart.mail.verdict import Stage, judge

if TYPE_CHECKING:
    from email.headerregistry import UniqueAddressHeader
    from email.message import EmailMessage
    from email.policy import EmailPolicy
    from types import TracebackType

    from oxcart.mail.smtp_settings import SmtpSettings

log = logging.getLogger("oxcart.mail")

_GOODBYE_SECONDS = 2.0
_SERVICE_CLOSING = 421


class Transport(Protocol):
    """Whatever can send a message."""

    async def send(self, message: EmailMessage) -> str:
        """Send a message to the address in its To line and give the server's answer.

        Raises:
            SmtpError: it was not accepted; the class says whether to try again.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class _Envelope:
    """What goes to the server: two addresses and the message as bytes."""

    sender: str
    recipient: str
    content: bytes
    is_utf8: bool

    @classmethod
    def of(cls, message: EmailMessage) -> _Envelope:
        sender, recipient = _address(message, "From"), _address(message, "To")
        # Only an address outside ASCII needs SMTPUTF8; all other headers have encoded words.
        is_utf8 = not (sender.isascii() and recipient.isascii())
        rules = cast("EmailPolicy", message.policy)
        return cls(
            sender=sender,
            recipient=recipient,
            content=message.as_bytes(policy=rules.clone(utf8=is_utf8)),
            is_utf8=is_utf8,
        )


def _address(message: EmailMessage, header: str) -> str:
    (address,) = cast("UniqueAddressHeader", message[header]).addresses
    return address.addr_spec


@functools.cache
def _system_tls_context() -> ssl.SSLContext:
    """Trust what the system trusts. Reading that takes some 27 ms: once, not per connection."""
    return ssl.create_default_context()


class SmtpTransport:
    """Sends messages to one SMTP server, over one connection that is kept.

    Used in one event loop. ``async with`` closes the connection at the end; it is opened by the
    first mail.

    Args:
        settings: how to reach the server.
        tls_context: trusts other certificates than the system's.
    """

    def __init__(
        self, settings: SmtpSettings, *, tls_context: ssl.SSLContext | None = None
    ) -> None:
        self._settings = settings
        needs_context = tls_context is None and settings.tls is not TlsMode.NONE
        self._tls_context = _system_tls_context() if needs_context else tls_context
        self._lock = asyncio.Lock()
        self._client: aiosmtplib.SMTP | None = None
        self._mail_count = 0
        self._idle_timer: asyncio.TimerHandle | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def send(self, message: EmailMessage) -> str:
        """Send a message to the address in its To line and give the server's answer.

        Raises:
            SmtpTemporary: not accepted now, or nobody knows whether it was.
            SmtpRefused: refused for good.
            SmtpMisconfigured: the server does not let us in.
        """
        envelope = _Envelope.of(message)
        async with self._lock:
            self._stop_idle_timer()
            try:
                return await self._send(envelope)
            finally:
                self._start_idle_timer()

    async def aclose(self) -> None:
        """Say goodbye and close the connection; another ``send`` would open a new one."""
        async with self._lock:
            self._stop_idle_timer()
            await self._hang_up()

    async def _send(self, envelope: _Envelope) -> str:
        if self._mail_count >= self._settings.max_mails:
            await self._hang_up()
        kept = self._client
        if kept is not None and kept.is_connected:
            with contextlib.suppress(_StaleConnection):
                return await self._transact(kept, envelope, is_kept=True)
        client = await self._connect()
        return await self._transact(client, envelope, is_kept=False)

    async def _connect(self) -> aiosmtplib.SMTP:
        """Connect, encrypt and log in as the settings say."""
        client = self._make_client()
        cancellation = _Cancellation()
        limit = self._settings.connect_limit.total_seconds()
        stage = Stage.CONNECT
        try:
            await client.connect(timeout=limit)
            cancellation.check()
            await client.ehlo()
            if self._settings.tls is TlsMode.STARTTLS:
                stage = Stage.ENCRYPT
                await client.starttls(tls_context=self._tls_context)
                await client.ehlo()  # what was said before TLS does not count
            if self._settings.username is not None:
                stage = Stage.LOG_IN
                await client.login(self._settings.username, self._settings.password or "")
        except Exception as error:
            client.close()
            cancellation.check()
            raise self._failure(stage, error) from error
        except BaseException:
            client.close()
            raise
        log.debug("email.smtp_connected", extra={"smtp_host": self._settings.host})
        self._client, self._mail_count = client, 0
        return client

    def _make_client(self) -> aiosmtplib.SMTP:
        return aiosmtplib.SMTP(
            hostname=self._settings.host,
            port=self._settings.port,
            timeout=self._settings.command_limit.total_seconds(),
            local_hostname=self._settings.local_hostname,
            use_tls=self._settings.tls is TlsMode.IMPLICIT,
            start_tls=False,  # _connect does it; the library's own default may stay in clear
            tls_context=self._tls_context,
        )

    async def _transact(
        self, client: aiosmtplib.SMTP, envelope: _Envelope, *, is_kept: bool
    ) -> str:
        """Send one mail over an open connection."""
        self._mail_count += 1
        if envelope.is_utf8 and not client.supports_extension("smtputf8"):
            refusal = "the server takes no address with letters outside ASCII (SMTPUTF8)"
            raise self._failure(Stage.RECIPIENT, aiosmtplib.SMTPNotSupported(refusal))
        options = ["SMTPUTF8"] if envelope.is_utf8 else []
        encoding = "utf-8" if envelope.is_utf8 else "ascii"
        cancellation = _Cancellation()
        stage = Stage.SENDER
        try:
            await client.mail(envelope.sender, options=options, encoding=encoding)
            stage = Stage.RECIPIENT
            await client.rcpt(envelope.recipient, encoding=encoding)
            cancellation.check()
            stage = Stage.CONTENT
            limit = self._settings.content_limit.total_seconds()
            response = await client.data(envelope.content, timeout=limit)
        except Exception as error:
            await self._tidy(client, error)
            cancellation.check()
            if is_kept and stage is Stage.SENDER and _leaves_unknown(error):
                raise _StaleConnection from error
            raise self._failure(stage, error) from error
        except BaseException:
            client.close()  # the mail may be half sent; the next one must not land in its middle
            raise
        return f"{response.code} {response.message}"

    async def _tidy(self, client: aiosmtplib.SMTP, error: Exception) -> None:
        """After a refusal make the connection ready for the next mail, or close it."""
        if _leaves_unknown(error):
            client.close()
            return
        try:
            await client.rset()
        except (aiosmtplib.SMTPException, OSError):
            client.close()
        except BaseException:
            client.close()
            raise

    def _failure(self, stage: Stage, error: Exception) -> Exception:
        failure = judge(stage, error).to_error(stage)
        if isinstance(failure, SmtpMisconfigured):
            log.error(
                "email.smtp_misconfigured",
                extra={
                    "smtp_host": self._settings.host,
                    "smtp_port": self._settings.port,
                    "stage": failure.stage,
                    "reason": failure.reason,
                },
            )
        return failure

    async def _hang_up(self) -> None:
        client, self._client = self._client, None
        if client is None:
            return
        socket_transport = cast("asyncio.WriteTransport | None", client.transport)
        try:
            with contextlib.suppress(aiosmtplib.SMTPException, OSError):
                await client.quit(timeout=_GOODBYE_SECONDS)
        finally:
            client.close()
            if socket_transport is not None:
                socket_transport.abort()  # nothing is left to say; do not linger for TLS's own
        await asyncio.sleep(0)  # lets the loop close the socket, should it stop right after this

    def _start_idle_timer(self) -> None:
        if self._client is not None and self._client.is_connected:
            loop = asyncio.get_running_loop()
            seconds = self._settings.idle_limit.total_seconds()
            self._idle_timer = loop.call_later(seconds, self._close_idle)

    def _stop_idle_timer(self) -> None:
        if self._idle_timer is not None:
            self._idle_timer.cancel()
            self._idle_timer = None

    def _close_idle(self) -> None:
        """Close an unused connection, with the QUIT that servers' logs expect."""
        client, self._client = self._client, None
        if client is None or not client.is_connected:
            return
        cast("asyncio.WriteTransport", client.transport).write(b"QUIT\r\n")
        client.close()  # after what was written has gone out


class _Cancellation:
    """Notices a cancellation that a library has lost.

    aiosmtplib uses ``asyncio.wait_for``, and that of Python 3.11 drops a cancellation that comes
    together with the result. A cancelled job must not send its mail all the same.
    """

    def __init__(self) -> None:
        self._task = asyncio.current_task()
        self._count = self._count_now()

    def check(self) -> None:
        """Raise the cancellation that has come meanwhile, if one has."""
        if self._count_now() > self._count:
            raise asyncio.CancelledError

    def _count_now(self) -> int:
        return 0 if self._task is None else self._task.cancelling()


class _StaleConnection(Exception):
    """A kept connection turned out to be closed before it took anything of the mail."""


def _leaves_unknown(error: Exception) -> bool:
    """Tell whether the dialogue is over or in disorder: its connection is of no more use."""
    if isinstance(error, aiosmtplib.SMTPResponseException):
        # aiosmtplib gives a line that is no SMTP reply the code -1.
        return error.code == _SERVICE_CLOSING or error.code < 0
    return True
