"""Sends messages over SMTP, several at a time, on connections that are kept between mails.

A kept connection that the server has meanwhile closed is replaced, and the mail that met it goes
out on a new one: nothing of it had been accepted. ``pool`` has the rules of how many connections
there are, ``connection`` those of one.
"""

from __future__ import annotations

import functools
import ssl
from typing import TYPE_CHECKING, Protocol, Self

from oxcart.mail.connection import StaleConnection
from oxcart.mail.envelope import Envelope
from oxcart.mail.errors import SmtpError
from oxcart.mail.pool import ConnectionPool
from oxcart.mail.smtp_settings import TlsMode
from oxcart.mail.verdict import is_servers_failure, wants_fewer_connections

if TYPE_CHECKING:
    from email.message import EmailMessage
    from types import TracebackType

    from oxcart.mail.smtp_settings import SmtpSettings


class Transport(Protocol):
    """Whatever can send a message."""

    async def send(self, message: EmailMessage) -> str:
        """Send a message to the address in its To line and give the server's answer.

        Raises:
            SmtpError: it was not accepted; the class says whether to try again.
        """


class CheckedTransport(Transport, Protocol):
    """A transport whose server can be checked without sending a mail."""

    @property
    def server(self) -> str:
        """The server, for logs."""

    @property
    def logs_misconfiguration(self) -> bool:
        """Whether it logs failures that need a change of the settings; its user may do so."""

    @logs_misconfiguration.setter
    def logs_misconfiguration(self, value: bool, /) -> None: ...

    async def check(self, sender: str) -> None:
        """Connect, log in and name a sender, without sending a mail.

        Raises:
            SmtpError: the server takes no mail.
        """


@functools.cache
def _system_tls_context() -> ssl.SSLContext:
    """Trust what the system trusts. Reading that takes some 27 ms: once, not per connection."""
    return ssl.create_default_context()


class SmtpTransport:
    """Sends messages to one SMTP server, over a few connections that are kept.

    Used in one event loop, by any number of tasks: as many mails as ``settings.max_connections``
    are sent at a time, the others wait. ``async with`` closes the connections at the end; each is
    opened by the first mail that finds none free.

    Args:
        settings: how to reach the server.
        tls_context: trusts other certificates than the system's.
    """

    def __init__(
        self, settings: SmtpSettings, *, tls_context: ssl.SSLContext | None = None
    ) -> None:
        self.server = f"{settings.host}:{settings.port}"
        needs_context = tls_context is None and settings.tls is not TlsMode.NONE
        self._pool = ConnectionPool(
            settings, _system_tls_context() if needs_context else tls_context
        )

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
        envelope = Envelope.of(message)
        async with self._pool.place():
            return await self._send(envelope)

    @property
    def logs_misconfiguration(self) -> bool:
        """Whether failures that need a change of the settings are logged here; default: yes."""
        return self._pool.logs_misconfiguration

    @logs_misconfiguration.setter
    def logs_misconfiguration(self, value: bool, /) -> None:
        self._pool.logs_misconfiguration = value

    async def check(self, sender: str) -> None:
        """Connect, encrypt, log in and name a sender on a new connection, without sending a mail.

        A sender that the server refuses is a failure of each mail, and not one of the server.

        Raises:
            SmtpError: the server takes no mail.
        """
        async with self._pool.place(), self._pool.connection(is_new=True) as connection:
            try:
                await connection.check(sender)
            except SmtpError as error:
                if is_servers_failure(error):
                    raise

    async def aclose(self) -> None:
        """Wait for the mails under way, say goodbye and close the connections.

        Another ``send`` would open a new one.
        """
        await self._pool.aclose()

    async def _send(self, envelope: Envelope) -> str:
        """Send a mail; again where it certainly was not taken, for a reason that is not its own."""
        is_new = False
        while True:
            try:
                async with self._pool.connection(is_new=is_new) as connection:
                    return await connection.send(envelope)
            except StaleConnection:
                is_new = True
            except SmtpError as error:
                if not (wants_fewer_connections(error) and await self._pool.wait_for_others(error)):
                    raise
                is_new = False
