"""Builds the message of each e-mail from its payload."""

from __future__ import annotations

import hashlib
import logging
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import format_datetime
from typing import TYPE_CHECKING
from urllib.parse import quote

from oxcart.mail.checks import one_line, plain_text
from oxcart.mail.headers import MAIL_POLICY
from oxcart.mail.payloads import (
    EmailPayload,
    NotificationPayload,
    PasswordResetPayload,
    VerificationPayload,
    WelcomePayload,
)
from oxcart.mail.recipients import parse_recipients

if TYPE_CHECKING:
    from oxcart.mail.letterhead import Letterhead

log = logging.getLogger("oxcart.mail")

_MAX_ID_LENGTH = 120
_LIMITS = {"name": 300, "metadata.title": 300, "metadata.message": 50_000}
"""How many characters of a field a mail holds; longer text is cut."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """A field whose text is longer than a mail holds.

    Attributes:
        field: its name on the wire.
        length: its length in characters.
        limit: how many of them the mail holds, with an ellipsis at the end.
    """

    field: str
    length: int
    limit: int

    def __str__(self) -> str:
        """Say it in a sentence, for the job's log."""
        return f"{self.field} was cut from {self.length} to {self.limit} characters"


def build_message(
    payload: EmailPayload,
    letterhead: Letterhead,
    *,
    job_id: str,
    created_at_ms: int = 0,
    now: datetime | None = None,
) -> EmailMessage:
    """Build the message that a payload asks for, with a text and an HTML part.

    Args:
        payload: one of the four.
        letterhead: in whose name.
        job_id: the ``Message-ID`` derives from it and from the next; the same job gives the same.
        created_at_ms: when the job was created, ms since the epoch; 0: unknown.
        now: an aware instant for the header ``Date``; the present without it.

    Raises:
        PayloadError: a link leads to another site.
    """
    for cut in cuts_of(payload):
        log.warning(
            "email.text_cut",
            extra={
                "job_id": job_id,
                "email_type": payload.type,
                "field": cut.field,
                "length": cut.length,
                "limit": cut.limit,
            },
        )
    context = {
        **_content(payload, letterhead),
        "name": _cut(one_line(payload.name), "name"),
        "app_name": letterhead.app_name,
        "app_url": letterhead.app_url,
    }
    rendered = letterhead.templates.render(payload.type, context)
    message = EmailMessage(policy=MAIL_POLICY)
    message["From"] = [letterhead.sender_address]
    message["To"] = parse_recipients(payload.to_email, what="toEmail")
    message["Subject"] = rendered.subject
    message["Date"] = format_datetime(now or datetime.now(UTC))
    message["Message-ID"] = message_id(
        payload, letterhead, job_id=job_id, created_at_ms=created_at_ms
    )
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no out-of-office replies, please
    # Quoted-printable keeps every line short and 7-bit, whatever the text holds.
    message.set_content(rendered.text, cte="quoted-printable")
    message.add_alternative(rendered.html, subtype="html", cte="quoted-printable")
    return message


def message_id(
    payload: EmailPayload, letterhead: Letterhead, *, job_id: str, created_at_ms: int = 0
) -> str:
    """Return the ``Message-ID`` of a job's mail: ``<{id}.{created at}.{name}@{sender's domain}>``.

    An id alone is not unique: BullMQ counts from 1 in each Redis, and again in a rebuilt one.
    All attempts of a job have the same id and time of creation.
    """
    # Ids may hold what a Message-ID may not; percent-encoding keeps different ids different.
    local = quote(job_id, safe="").replace(".", "%2E")
    if len(local) > _MAX_ID_LENGTH:
        local = hashlib.sha256(job_id.encode()).hexdigest()
    made = f".{created_at_ms}" if created_at_ms else ""
    return f"<{local}{made}.{payload.type}@{letterhead.domain}>"


def _content(payload: EmailPayload, letterhead: Letterhead) -> dict[str, object]:
    """Return the variables of the payload's own templates; ``email_kinds`` lists them."""
    match payload:
        case WelcomePayload():
            return {}
        case VerificationPayload(metadata=metadata):
            url = letterhead.link("/auth/verify?token=" + quote(metadata.token, safe=""))
            return {"action_url": url}
        case PasswordResetPayload(metadata=metadata):
            return {
                "reset_code": metadata.reset_code,
                "action_url": letterhead.link("/auth/reset-password"),
            }
        case NotificationPayload(metadata=metadata):
            message = _cut(plain_text(metadata.message), "metadata.message")
            link = metadata.link
            return {
                "title": _cut(one_line(metadata.title), "metadata.title"),
                "message": message.strip(),
                "paragraphs": _paragraphs(message),
                "action_url": letterhead.link(link, what="metadata.link") if link else None,
            }


def cuts_of(payload: EmailPayload) -> list[Cut]:
    """Return the fields of a payload that are longer than a mail holds."""
    texts = {"name": one_line(payload.name)}
    if isinstance(payload, NotificationPayload):
        texts["metadata.title"] = one_line(payload.metadata.title)
        texts["metadata.message"] = plain_text(payload.metadata.message)
    return [
        Cut(field=field, length=len(text), limit=_LIMITS[field])
        for field, text in texts.items()
        if len(text) > _LIMITS[field]
    ]


def _cut(text: str, field: str) -> str:
    limit = _LIMITS[field]
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _paragraphs(text: str) -> list[list[str]]:
    """Split text at blank lines, and each paragraph into its lines."""
    blocks = re.split(r"\n\s*\n", "\n".join(text.strip().splitlines()))
    return [[line.strip() for line in block.splitlines()] for block in blocks]
