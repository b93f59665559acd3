"""One connection to the SMTP server, and the dialogue on it.

A connection is used by one mail at a time. A mail that the server refused leaves it usable (RSET);
anything that leaves the dialogue at an unknown point (a lost connection, a time-out, a cancelled
handler) closes it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING, Self, cast

import aiosmtplib

from oxcart.mail.errors import SmtpError, SmtpMisconfigured
from oxcart.mail.smtp_settings import TlsMode
from oxcart.mail.verdict import Stage, judge, wants_fewer_connections

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

    from oxcart.mail.envelope import Envelope
    from oxcart.mail.smtp_settings import SmtpSettings

log = logging.getLogger("oxcart.mail")

_GOODBYE_SECONDS = 2.0
_SERVICE_CLOSING = 421


class StaleConnection(Exception):
    """A kept connection turned out to be closed before it took anything of the mail."""


class SmtpConnection:
    """An open connection; ``open`` makes one.

    Attributes:
        is_kept: whether it has waited for a mail since it was opened; its owner sets it.
    """

    def __init__(
        self, client: aiosmtplib.SMTP, settings: SmtpSettings, logs: Callable[[], bool]
    ) -> None:
        self.is_kept = False
        self._logs = logs
        self._client = client
        self._settings = settings
        self._mail_count = 0

    @classmethod
    async def open(
        cls,
        settings: SmtpSettings,
        tls_context: ssl.SSLContext | None,
        logs: Callable[[], bool] = lambda: True,
    ) -> Self:
        """Connect, encrypt and log in as the settings say.

        Args:
            settings: how to reach the server.
            tls_context: which certificates to trust.
            logs: returns whether failures that need a change of the settings are logged.

        Raises:
            SmtpTemporary: not now.
            SmtpMisconfigured: the server does not let us in.
        """
        client = _make_client(settings, tls_context)
        cancellation = _Cancellation()
        limit = settings.connect_limit.total_seconds()
        stage = Stage.CONNECT
        try:
            await client.connect(timeout=limit)
            cancellation.check()
            await client.ehlo()
            if settings.tls is TlsMode.STARTTLS:
                stage = Stage.ENCRYPT
                await client.starttls(tls_context=tls_context)
                await client.ehlo()  # what was said before TLS does not count
            if settings.username is not None:
                stage = Stage.LOG_IN
                await client.login(settings.username, settings.password or "")
            cancellation.check()
        except Exception as error:
            client.close()
            cancellation.check()
            raise _failure(settings, stage, error, logs=logs()) from error
        except BaseException:
            client.close()
            raise
        log.debug("email.smtp_connected", extra={"smtp_host": settings.host})
        return cls(client, settings, logs)

    @property
    def is_open(self) -> bool:
        """Whether neither side is known to have closed it."""
        return self._client.is_connected

    @property
    def is_worn_out(self) -> bool:
        """Whether it has sent its share of mails."""
        return self._mail_count >= self._settings.max_mails

    async def send(self, envelope: Envelope) -> str:
        """Send one mail and give the server's answer.

        Raises:
            SmtpError: it was not accepted.
            StaleConnection: the connection was kept, and nothing of the mail was taken.
        """
        client = self._client
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
            await self._name_recipients(envelope, encoding)
            cancellation.check()
            stage = Stage.CONTENT
            limit = self._settings.content_limit.total_seconds()
            response = await client.data(envelope.content, timeout=limit)
        except Exception as error:
            failure = self._failure(stage, error)
            await self._tidy(error, failure)
            cancellation.check()
            if self.is_kept and stage is Stage.SENDER and _leaves_unknown(error):
                raise StaleConnection from error
            raise failure from error
        except BaseException:
            client.close()  # the mail may be half sent; the next one must not land in its middle
            raise
        return f"{response.code} {response.message}"

    async def _name_recipients(self, envelope: Envelope, encoding: str) -> None:
        """Name the recipients; as Nodemailer, go on if at least one of them is accepted.

        Raises:
            SMTPResponseException: the server accepted none of them.
        """
        refusals: list[aiosmtplib.SMTPResponseException] = []
        for recipient in envelope.recipients:
            try:
                await self._client.rcpt(recipient, encoding=encoding)
            except aiosmtplib.SMTPResponseException as error:
                if len(envelope.recipients) == 1 or _leaves_unknown(error):
                    raise
                refusals.append(error)
        if len(refusals) == len(envelope.recipients):
            raise refusals[0]
        for refusal in refusals:
            failure = self._failure(Stage.RECIPIENT, refusal)
            log.warning("email.recipient_refused", extra={"reason": failure.reason})

    async def check(self, sender: str) -> None:
        """Name a sender as for a mail, and take it back.

        Raises:
            SmtpError: the server does not accept it.
        """
        is_ascii = sender.isascii()
        options = [] if is_ascii else ["SMTPUTF8"]
        cancellation = _Cancellation()
        try:
            await self._client.mail(
                sender, options=options, encoding="ascii" if is_ascii else "utf-8"
            )
            await self._client.rset()
            cancellation.check()
        except Exception as error:
            failure = self._failure(Stage.SENDER, error)
            await self._tidy(error, failure)
            cancellation.check()
            raise failure from error
        except BaseException:
            self._client.close()
            raise

    async def hang_up(self) -> None:
        """Say goodbye, wait for the answer for a moment, and close."""
        client = self._client
        socket_transport = cast("asyncio.WriteTransport | None", client.transport)
        try:
            with contextlib.suppress(aiosmtplib.SMTPException, OSError):
                await client.quit(timeout=_GOODBYE_SECONDS)
        finally:
            client.close()
            if socket_transport is not None:
                socket_transport.abort()  # nothing is left to say; do not linger for TLS's own

    def leave(self) -> None:
        """Close at once, with the QUIT that servers' logs expect but not its answer."""
        if self.is_open:
            cast("asyncio.WriteTransport", self._client.transport).write(b"QUIT\r\n")
        self._client.close()  # after what was written has gone out

    async def _tidy(self, error: Exception, failure: SmtpError) -> None:
        """After a failure make the connection ready for the next mail, or close it."""
        client = self._client
        if _leaves_unknown(error):
            client.close()
            return
        if wants_fewer_connections(failure):
            self.leave()
            return
        try:
            await client.rset()
        except (aiosmtplib.SMTPException, OSError):
            client.close()
        except BaseException:
            client.close()
            raise

    def _failure(self, stage: Stage, error: Exception) -> SmtpError:
        return _failure(self._settings, stage, error, logs=self._logs())


def _make_client(settings: SmtpSettings, tls_context: ssl.SSLContext | None) -> aiosmtplib.SMTP:
    return aiosmtplib.SMTP(
        hostname=settings.host,
        port=settings.port,
        timeout=settings.command_limit.total_seconds(),
        local_hostname=settings.local_hostname,
        use_tls=settings.tls is TlsMode.IMPLICIT,
        start_tls=False,  # open does it; the library's own default may stay in clear
        tls_context=tls_context,
    )


def _failure(settings: SmtpSettings, stage: Stage, error: Exception, *, logs: bool) -> SmtpError:
    failure = judge(stage, error).to_error(stage)
    if logs and isinstance(failure, SmtpMisconfigured):
        log.error(
            "email.smtp_misconfigured",
            extra={
                "smtp_host": settings.host,
                "smtp_port": settings.port,
                "stage": failure.stage,
                "reason": failure.reason,
            },
        )
    return failure


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


def _leaves_unknown(error: Exception) -> bool:
    """Tell whether the dialogue is over or in disorder: its connection is of no more use."""
    if isinstance(error, aiosmtplib.SMTPResponseException):
        # aiosmtplib gives a line that is no SMTP reply the code -1.
        return error.code == _SERVICE_CLOSING or error.code < 0
    return True
