"""Opens the way out for mail that the settings ask for.

With ``SMTP_HOST`` that is the server. Without it, mail goes to the development mailbox, over SMTP
as well; production has no such way out.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TYPE_CHECKING

from oxcart._settings.rules import mail_problems
from oxcart._settings.values import refusal
from oxcart.errors import ConfigError
from oxcart.mail.smtp_settings import SmtpSettings, TlsMode
from oxcart.mail.transport import SmtpTransport

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from oxcart.mail.mailbox import DevelopmentMailbox
    from oxcart.mail.transport import Transport
    from oxcart.settings import Settings

TransportFactory = Callable[[], AbstractAsyncContextManager["Transport"]]
"""Opens a transport for as long as ``async with`` lasts."""


def mailbox_folder(settings: Settings) -> Path:
    """Give the folder in which development keeps its mails."""
    return settings.data_dir / "mailbox"


def require_smtp(settings: Settings) -> None:
    """Refuse settings with which no mail could be sent.

    In development a missing ``SMTP_HOST`` is fine, half a log-in is not.

    Raises:
        ConfigError: naming every variable that is missing or contradicts another.
    """
    problems = tuple(mail_problems(settings))
    if problems:
        raise refusal(problems)


@asynccontextmanager
async def open_transport(
    settings: Settings, *, max_connections: int | None = None
) -> AsyncIterator[SmtpTransport]:
    """Open the transport that the settings ask for, until the end of ``async with``.

    Args:
        settings: where mails go.
        max_connections: how many mails are sent at a time, instead of the settings'
            ``email_concurrency``.

    Raises:
        ConfigError: see ``require_smtp``.
    """
    require_smtp(settings)
    if max_connections is None:
        max_connections = settings.email_concurrency
    if settings.smtp_host is not None:
        outward = SmtpSettings.from_settings(settings, max_connections=max_connections)
        async with SmtpTransport(outward) as transport:
            yield transport
        return
    async with _development_mailbox(mailbox_folder(settings)) as mailbox:
        inward = SmtpSettings(
            host=mailbox.host,
            port=mailbox.port,
            tls=TlsMode.NONE,
            max_connections=max_connections,
        )
        async with SmtpTransport(inward) as transport:
            yield transport


def _development_mailbox(folder: Path) -> DevelopmentMailbox:
    # Imported here: programs with an SMTP server need not have aiosmtpd installed.
    try:
        from oxcart.mail.mailbox import DevelopmentMailbox
    except ImportError as error:
        raise ConfigError(
            "SMTP_HOST is not set, and the development mailbox is not installed: "
            "set SMTP_HOST, or pip install 'oxcart[mailbox]'"
        ) from error
    return DevelopmentMailbox(folder)
