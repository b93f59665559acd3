"""How long the code or link in an e-mail is valid, and when a mail is too late to be sent."""

from __future__ import annotations

from datetime import timedelta

VALID_FOR = {"password_reset": timedelta(hours=1), "verification": timedelta(hours=24)}
"""Counted from the creation of the job; the e-mails themselves say the same to their readers."""


def expired_reason(email_type: str, created_at_ms: int, now_ms: int | None) -> str | None:
    """Return why a mail must not be sent any more; ``None`` if it may.

    Args:
        email_type: the type of the e-mail.
        created_at_ms: when its job was created, ms since the epoch.
        now_ms: when the job was taken, by the server's clock; ``None``: unknown.
    """
    valid_for = VALID_FOR.get(email_type)
    if valid_for is None or now_ms is None or not created_at_ms:
        return None
    age_s = (now_ms - created_at_ms) / 1_000
    if age_s <= valid_for.total_seconds():
        return None
    return (
        f"not sent: what the mail holds is valid for {valid_for.total_seconds() / 3_600:g} h, "
        f"and the job was created {age_s / 3_600:.1f} h ago"
    )
