"""The payloads of the four e-mails, checked.

On the wire they are ``{"type": <job name>, "toEmail": str, "name": str, "metadata"?: object}``;
``wire_data`` reads what other programs put there.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from oxcart.errors import PayloadError
from oxcart.mail.checks import check_line, check_link, check_text
from oxcart.mail.recipients import parse_recipients

_SECRET_LENGTH = 2_000


class _Unshown(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What is not shown: whoever reads a token or a code can act as the recipient."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}(…)"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return [("…", "")]


class _Payload(_Unshown, frozen=True, kw_only=True, rename="camel"):
    """What all four have in common.

    Raises:
        PayloadError: the address is not one, or a field holds what no mail may hold.
    """

    type: str
    to_email: str
    """One address or several, with or without display names."""
    name: str = ""
    """Whom the mail greets; may be empty."""

    def __post_init__(self) -> None:
        check_text(self.to_email, what="toEmail", is_required=False)
        parse_recipients(self.to_email, what="toEmail")
        check_text(self.name, what="name", is_required=False)


class _SecretPayload(_Payload, frozen=True, kw_only=True):
    """A mail with a secret: whoever receives it can act as the recipient, so it has only one."""

    def __post_init__(self) -> None:
        super().__post_init__()
        recipients = parse_recipients(self.to_email, what="toEmail")
        if len(recipients) > 1:
            raise PayloadError(
                f"toEmail has {len(recipients)} recipients: an e-mail of type {self.type!r} goes "
                "to one address alone, as it holds a secret"
            )


class WelcomePayload(_Payload, frozen=True, kw_only=True):
    """Data of the job ``welcome``."""

    type: Literal["welcome"] = "welcome"


class VerificationMetadata(_Unshown, frozen=True, kw_only=True, rename="camel"):
    """What a verification mail needs besides the recipient."""

    token: str

    def __post_init__(self) -> None:
        check_line(self.token, what="metadata.token", max_length=_SECRET_LENGTH)


class VerificationPayload(_SecretPayload, frozen=True, kw_only=True):
    """Data of the job ``verification``."""

    type: Literal["verification"] = "verification"
    metadata: VerificationMetadata


class PasswordResetMetadata(_Unshown, frozen=True, kw_only=True, rename="camel"):
    """What a password-reset mail needs besides the recipient."""

    reset_code: str

    def __post_init__(self) -> None:
        check_line(self.reset_code, what="metadata.resetCode", max_length=_SECRET_LENGTH)


class PasswordResetPayload(_SecretPayload, frozen=True, kw_only=True):
    """Data of the job ``password_reset``; its name is empty."""

    type: Literal["password_reset"] = "password_reset"
    metadata: PasswordResetMetadata


class NotificationMetadata(
    msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True
):
    """What a notification needs besides the recipient."""

    title: str
    message: str
    link: str | None = None
    """A path of the web application, or a URL of it; empty or missing: the mail has no button."""

    def __post_init__(self) -> None:
        check_text(self.title, what="metadata.title")
        check_text(self.message, what="metadata.message")
        if self.link:
            check_link(self.link, what="metadata.link")


class NotificationPayload(_Payload, frozen=True, kw_only=True):
    """Data of the job ``notification``."""

    type: Literal["notification"] = "notification"
    metadata: NotificationMetadata


EmailPayload = WelcomePayload | VerificationPayload | PasswordResetPayload | NotificationPayload
"""Any of the four."""

SECRET_KEYS = frozenset({"token", "resetCode"})
"""Keys of ``metadata`` that are never shown: whoever reads one can act as the recipient."""


def welcome(to: str, name: str) -> WelcomePayload:
    """Make the payload of a welcome mail."""
    return WelcomePayload(to_email=to, name=name)


def verification(to: str, name: str, token: str) -> VerificationPayload:
    """Make the payload of a mail that verifies an address."""
    return VerificationPayload(to_email=to, name=name, metadata=VerificationMetadata(token=token))


def password_reset(to: str, reset_code: str) -> PasswordResetPayload:
    """Make the payload of a password-reset mail."""
    return PasswordResetPayload(to_email=to, metadata=PasswordResetMetadata(reset_code=reset_code))


def notification(
    to: str, name: str, title: str, message: str, link: str | None = None
) -> NotificationPayload:
    """Make the payload of a notification."""
    return NotificationPayload(
        to_email=to,
        name=name,
        metadata=NotificationMetadata(title=title, message=message, link=link or None),
    )
