"""The data of an e-mail job as other programs put it on the wire, read as the Node worker reads it.

JavaScript is lenient: ``name`` may be null, a code may be a number, ``toEmail`` may be a list, and
the field ``type``, not the job's name, decides which mail is sent.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import msgspec

from oxcart.errors import PayloadError
from oxcart.mail import payloads

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from oxcart.mail.payloads import EmailPayload


class EmailData(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """The data of a job. Fields that are not known are passed over.

    Attributes:
        type: which of the four mails; missing: the one that the job is named after.
        to_email: the recipients.
        name: the name in the greeting.
        metadata: what the mail needs besides.

    Raises:
        PayloadError: the data make no mail.
    """

    type: Any = None
    to_email: Any = None
    name: Any = None
    metadata: Any = None

    def __post_init__(self) -> None:
        if self.type is not None:
            self.payload(self.type)

    @classmethod
    def of(cls, payload: EmailPayload) -> Self:
        """Return a payload as it is written on the wire."""
        return msgspec.convert(msgspec.to_builtins(payload), cls)

    def payload(self, job_name: str) -> EmailPayload:
        """Return the checked payload.

        Args:
            job_name: says which mail is meant where the data have no type.

        Raises:
            PayloadError: naming the field that is wrong or missing, and what is accepted.
        """
        kind = job_name if self.type is None else self.type
        make = _MAKERS.get(kind) if isinstance(kind, str) else None
        if make is None:
            raise PayloadError(f"type is {str(kind)[:100]!r}; expected one of {', '.join(_MAKERS)}")
        metadata = {} if self.metadata is None or kind == "welcome" else self.metadata
        if not isinstance(metadata, dict):
            raise PayloadError(f"metadata is a {type(metadata).__name__}; expected an object")
        return make(_recipients(self.to_email), _text(self.name, "name"), metadata)

    def __repr__(self) -> str:
        """Show nothing: the data may hold a secret."""
        return "EmailData(…)"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        """Show nothing in rich's tracebacks either."""
        return [("…", "")]


def _welcome(to: str, name: str, metadata: Mapping[str, Any]) -> EmailPayload:
    return payloads.welcome(to, name)


def _verification(to: str, name: str, metadata: Mapping[str, Any]) -> EmailPayload:
    return payloads.verification(to, name, _required(metadata, "token"))


def _password_reset(to: str, name: str, metadata: Mapping[str, Any]) -> EmailPayload:
    return payloads.password_reset(to, _required(metadata, "resetCode"))


def _notification(to: str, name: str, metadata: Mapping[str, Any]) -> EmailPayload:
    return payloads.notification(
        to,
        name,
        _required(metadata, "title"),
        _required(metadata, "message"),
        _text(metadata.get("link") or None, "metadata.link"),
    )


_MAKERS: dict[str, Callable[[str, str, Mapping[str, Any]], EmailPayload]] = {
    "welcome": _welcome,
    "verification": _verification,
    "password_reset": _password_reset,
    "notification": _notification,
}


def _required(metadata: Mapping[str, Any], key: str) -> str:
    value = metadata.get(key)
    if value is None or value == "" or value is False or value == 0:  # what JavaScript calls falsy
        raise PayloadError(f"metadata.{key} is missing; expected text")
    return _text(value, f"metadata.{key}")


def _recipients(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(_text(each, "toEmail") for each in value)
    return _text(value, "toEmail")


def _text(value: Any, what: str) -> str:
    """Return a value as JavaScript puts it into text; null is nothing."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(int(value)) if value == int(value) else repr(value)
    raise PayloadError(f"{what} is a {type(value).__name__}; expected text")
