"""Builds the message of each e-mail from its payload."""

from __future__ import annotations

import hashlib
import re
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import format_datetime
from typing import TYPE_CHECKING
from urllib.parse import quote

from oxcart.mail import templates
from oxcart.mail.checks import parse_address
from oxcart.mail.headers import MAIL_POLICY, Mailbox
from oxcart.mail.payloads import (
    EmailPayload,
    NotificationPayload,
    PasswordResetPayload,
    VerificationPayload,
    WelcomePayload,
)

if TYPE_CHECKING:
    from oxcart.mail.letterhead import Letterhead

_MAX_ID_LENGTH = 120


def build_message(
    payload: EmailPayload, letterhead: Letterhead, *, job_id: str, now: datetime | None = None
) -> EmailMessage:
    """Build the message that a payload asks for, with a text and an HTML part.

    Args:
        payload: one of the four.
        letterhead: in whose name.
        job_id: what the ``Message-ID`` derives from; the same job gives the same one.
        now: an aware instant for the header ``Date``; the present without it.
    """
    subject, context = _content(payload, letterhead)
    context |= {
        "subject": subject,
        "name": payload.name.strip(),
        "app_name": letterhead.app_name,
        "app_url": letterhead.app_url,
    }
    message = EmailMessage(policy=MAIL_POLICY)
    message["From"] = [letterhead.sender_address]
    message["To"] = [_recipient(payload.to_email)]
    message["Subject"] = subject
    message["Date"] = format_datetime(now or datetime.now(UTC))
    message["Message-ID"] = message_id(payload, letterhead, job_id=job_id)
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no out-of-office replies, please
    # Quoted-printable keeps every line short and 7-bit, whatever the text holds.
    text = templates.render(payload.type, "txt", context)
    message.set_content(text, cte="quoted-printable")
    html = templates.render(payload.type, "html", context)
    message.add_alternative(html, subtype="html", cte="quoted-printable")
    return message


def message_id(payload: EmailPayload, letterhead: Letterhead, *, job_id: str) -> str:
    """Give the ``Message-ID`` of a job's mail: ``<{job_id}.{name}@{sender's domain}>``."""
    # Ids may hold what a Message-ID may not; percent-encoding keeps different ids different.
    local = quote(job_id, safe="").replace(".", "%2E")
    if len(local) > _MAX_ID_LENGTH:
        local = hashlib.sha256(job_id.encode()).hexdigest()
    return f"<{local}.{payload.type}@{letterhead.domain}>"


def _content(payload: EmailPayload, letterhead: Letterhead) -> tuple[str, dict[str, object]]:
    """Give the subject and the variables of the payload's own templates."""
    match payload:
        case WelcomePayload():
            return f"Welcome to {letterhead.app_name}", {}
        case VerificationPayload(metadata=metadata):
            url = letterhead.link("/auth/verify?token=" + quote(metadata.token, safe=""))
            return "Verify your email address", {"action_url": url}
        case PasswordResetPayload(metadata=metadata):
            return "Reset your password", {
                "reset_code": metadata.reset_code,
                "action_url": letterhead.link("/auth/reset-password"),
            }
        case NotificationPayload(metadata=metadata):
            return metadata.title.strip(), {
                "title": metadata.title,
                "paragraphs": _paragraphs(metadata.message),
                "action_url": letterhead.link(metadata.link) if metadata.link else None,
            }


def _paragraphs(text: str) -> list[list[str]]:
    """Split text at blank lines, and each paragraph into its lines."""
    blocks = re.split(r"\n\s*\n", "\n".join(text.strip().splitlines()))
    return [[line.strip() for line in block.splitlines()] for block in blocks]


def _recipient(to_email: str) -> Mailbox:
    """Return the address with its domain in ASCII; the local part may need SMTPUTF8."""
    parsed = parse_address(to_email, what="toEmail")
    return Mailbox(parsed.ascii_email or f"{parsed.local_part}@{parsed.ascii_domain}")
