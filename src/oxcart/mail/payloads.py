"""The payloads of the four e-mail jobs, as Node and Python put them on the wire.

``{"type": <job name>, "toEmail": str, "name": str, "metadata"?: object}``. Keys that are not
known are passed over, as the site's other programs may add some.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from oxcart.mail.checks import check_address, check_line, check_path, check_text

_NAME_LENGTH = 300
_TITLE_LENGTH = 300
_MESSAGE_LENGTH = 50_000
_SECRET_LENGTH = 2_000
_LINK_LENGTH = 2_000


class _Unshown(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What is not shown: whoever reads a token or a code can act as the recipient."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}(…)"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return [("…", "")]


class _Payload(_Unshown, frozen=True, kw_only=True, rename="camel"):
    """What all four have in common.

    Raises:
        PayloadError: the address is not one, or a field holds what no header may hold.
    """

    type: str
    to_email: str
    name: str = ""
    """Whom the mail greets; may be empty."""

    def __post_init__(self) -> None:
        check_address(self.to_email, what="toEmail")
        check_line(self.name, what="name", max_length=_NAME_LENGTH, is_required=False)


class WelcomePayload(_Payload, frozen=True, kw_only=True):
    """Data of the job ``welcome``."""

    type: Literal["welcome"] = "welcome"


class VerificationMetadata(_Unshown, frozen=True, kw_only=True, rename="camel"):
    """What a verification mail needs besides the recipient."""

    token: str

    def __post_init__(self) -> None:
        check_line(self.token, what="metadata.token", max_length=_SECRET_LENGTH)


class VerificationPayload(_Payload, frozen=True, kw_only=True):
    """Data of the job ``verification``."""

    type: Literal["verification"] = "verification"
    metadata: VerificationMetadata


class PasswordResetMetadata(_Unshown, frozen=True, kw_only=True, rename="camel"):
    """What a password-reset mail needs besides the recipient."""

    reset_code: str

    def __post_init__(self) -> None:
        check_line(self.reset_code, what="metadata.resetCode", max_length=_SECRET_LENGTH)


class PasswordResetPayload(_Payload, frozen=True, kw_only=True):
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
    """A path of the web application; empty or missing: the mail has no button."""

    def __post_init__(self) -> None:
        check_line(self.title, what="metadata.title", max_length=_TITLE_LENGTH)
        check_text(self.message, what="metadata.message", max_length=_MESSAGE_LENGTH)
        if self.link:
            check_path(self.link, what="metadata.link", max_length=_LINK_LENGTH)


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
