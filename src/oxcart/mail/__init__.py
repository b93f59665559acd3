"""E-mail: four functions that send it, the jobs that deliver it, and the way out.

Applications call ``send_welcome_email`` and its siblings here, or their blocking twins in
``oxcart.mail.sync``. Each queues the mail, or sends it at once if Redis cannot be reached.
"""

from __future__ import annotations

from oxcart.mail.breaker import CircuitBreaker
from oxcart.mail.default import aclose, configure, default_mailer
from oxcart.mail.email_kinds import EmailKind
from oxcart.mail.errors import (
    MailError,
    SmtpError,
    SmtpMisconfigured,
    SmtpRefused,
    SmtpTemporary,
)
from oxcart.mail.jobs import EmailJobs
from oxcart.mail.kept_mail import KeptMessage, list_messages
from oxcart.mail.letterhead import Letterhead
from oxcart.mail.mailer import Delivery, Mailer
from oxcart.mail.outgoing import mailbox_folder, open_transport, require_smtp
from oxcart.mail.smtp_settings import SmtpSettings, TlsMode
from oxcart.mail.templates import EmailTemplates, TemplatesRefused
from oxcart.mail.transport import SmtpTransport, Transport

__all__ = [
    "CircuitBreaker",
    "Delivery",
    "EmailJobs",
    "EmailKind",
    "EmailTemplates",
    "KeptMessage",
    "Letterhead",
    "MailError",
    "Mailer",
    "SmtpError",
    "SmtpMisconfigured",
    "SmtpRefused",
    "SmtpSettings",
    "SmtpTemporary",
    "SmtpTransport",
    "TemplatesRefused",
    "TlsMode",
    "Transport",
    "aclose",
    "configure",
    "default_mailer",
    "list_messages",
    "mailbox_folder",
    "open_transport",
    "require_smtp",
    "send_notification_email",
    "send_password_reset_email",
    "send_verification_email",
    "send_welcome_email",
]


async def send_welcome_email(to: str, name: str) -> Delivery:
    """Send a welcome mail; see ``Mailer.send``."""
    return await default_mailer().send_welcome_email(to, name)


async def send_verification_email(to: str, name: str, token: str) -> Delivery:
    """Send a mail whose link verifies the address; see ``Mailer.send``."""
    return await default_mailer().send_verification_email(to, name, token)


async def send_password_reset_email(to: str, reset_code: str) -> Delivery:
    """Send a mail with a code to choose a new password; see ``Mailer.send``."""
    return await default_mailer().send_password_reset_email(to, reset_code)


async def send_notification_email(
    to: str, name: str, title: str, message: str, link: str | None = None
) -> Delivery:
    """Send a notification; ``link`` is a path of the web application. See ``Mailer.send``."""
    return await default_mailer().send_notification_email(to, name, title, message, link)
