"""What the SMTP server receives of a message: the addresses and the bytes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self, cast

from oxcart.mail.headers import check_content, mailboxes_of

if TYPE_CHECKING:
    from email.message import EmailMessage
    from email.policy import EmailPolicy


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """What goes to the server.

    Attributes:
        sender: the address in the From line.
        recipients: the addresses in the To line.
        content: the message as bytes.
        is_utf8: whether an address is not ASCII, and the server has to know SMTPUTF8.
    """

    sender: str
    recipients: tuple[str, ...]
    content: bytes
    is_utf8: bool

    @classmethod
    def of(cls, message: EmailMessage) -> Self:
        """Take a message's addresses and bytes.

        Raises:
            PayloadError: the bytes hold header fields that the message does not have.
        """
        (sender,) = _addresses(message, "From")
        recipients = _addresses(message, "To")
        # Only an address outside ASCII needs SMTPUTF8; all other headers have encoded words.
        is_utf8 = not "".join((sender, *recipients)).isascii()
        rules = cast("EmailPolicy", message.policy)
        content = message.as_bytes(policy=rules.clone(utf8=is_utf8))
        check_content(message, content)
        return cls(sender=sender, recipients=recipients, content=content, is_utf8=is_utf8)


def _addresses(message: EmailMessage, field: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(each.addr_spec for each in mailboxes_of(message, field)))
