"""The module-level functions for blocking code: Django, Flask, scripts, threads.

They do what their namesakes in ``oxcart.mail`` do, with the same mailer and the same circuit
breaker, and block the calling thread meanwhile.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from oxcart.mail import payloads
from oxcart.mail.default import default_mailer

if TYPE_CHECKING:
    from oxcart.mail.mailer import Delivery

__all__ = [
    "send_notification_email",
    "send_password_reset_email",
    "send_verification_email",
    "send_welcome_email",
]


def send_welcome_email(to: str, name: str) -> Delivery:
    """Send a welcome mail; see ``Mailer.send``."""
    return default_mailer().send_sync(payloads.welcome(to, name))


def send_verification_email(to: str, name: str, token: str) -> Delivery:
    """Send a mail whose link verifies the address; see ``Mailer.send``."""
    return default_mailer().send_sync(payloads.verification(to, name, token))


def send_password_reset_email(to: str, reset_code: str) -> Delivery:
    """Send a mail with a code to choose a new password; see ``Mailer.send``."""
    return default_mailer().send_sync(payloads.password_reset(to, reset_code))


def send_notification_email(
    to: str, name: str, title: str, message: str, link: str | None = None
) -> Delivery:
    """Send a notification; ``link`` is a path of the web application. See ``Mailer.send``."""
    return default_mailer().send_sync(payloads.notification(to, name, title, message, link))
