"""The four e-mails, through the public functions, to the development mailbox."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from oxcart import mail
from oxcart.mail.kept_mail import KeptMessage, list_messages
from oxcart.mail.mailer import Delivery
from oxcart.mail.outgoing import mailbox_folder
from oxcart.settings import Settings

PATIENCE_S = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveredMail:
    """A mail that arrived.

    Attributes:
        subject: as it arrived.
        recipient: where it went.
        milliseconds: from the call to its arrival in the mailbox.
        path: where it lies.
        is_expected: whether it was queued and has the subject that it should have.
    """

    subject: str
    recipient: str
    milliseconds: float
    path: Path
    is_expected: bool


async def send_mails(settings: Settings) -> list[DeliveredMail]:
    """Send the four e-mails and wait for each to arrive."""
    ada, name = "ada.lovelace@example.org", "Ada Lovelace"
    delivered = []
    for subject, sending in (
        (f"Welcome to {settings.app_name}", mail.send_welcome_email(ada, name)),
        ("Verify your email address", mail.send_verification_email(ada, name, "tok-3f9a71c2")),
        ("Reset your password", mail.send_password_reset_email(ada, "481-516")),
        (
            "Your page was approved",
            mail.send_notification_email(
                ada,
                name,
                "Your page was approved",
                "“Analytical Engines & <Looms>” is online now.",
                "/wiki/analytical-engines",
            ),
        ),
    ):
        delivered.append(await _deliver(settings, subject, sending))
    await mail.aclose()
    return delivered


async def _deliver(settings: Settings, subject: str, sending: Awaitable[Delivery]) -> DeliveredMail:
    started_at = datetime.now(UTC)
    delivery = await sending
    kept = await _arrival(mailbox_folder(settings), delivery.message_id)
    return DeliveredMail(
        subject=kept.subject,
        recipient=kept.recipient,
        milliseconds=(kept.received_at - started_at).total_seconds() * 1_000,
        path=kept.path,
        is_expected=delivery.queued and kept.subject == subject,
    )


async def _arrival(folder: Path, message_id: str) -> KeptMessage:
    async with asyncio.timeout(PATIENCE_S):
        while True:
            for kept in list_messages(folder):
                if message_id.encode() in kept.path.read_bytes():
                    return kept
            await asyncio.sleep(0.01)
