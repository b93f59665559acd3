"""Header fields of outgoing mail: how they are written, and the checks that nothing was added.

The email package decodes RFC 2047 encoded words (``=?utf-8?b?…?=``) in the values that it is
given, and some releases of Python then write line ends that were hidden in them. The fields that
hold foreign text (From, To, Subject) are therefore written here, from their literal value, and
every field is checked after it was folded. ``check_content`` checks the whole message.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from email import message_from_bytes
from email.header import Header
from email.headerregistry import BaseHeader, HeaderRegistry
from email.policy import EmailPolicy
from typing import TYPE_CHECKING, Any, cast

from oxcart.errors import PayloadError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from email.message import EmailMessage, Message

ENCODED_WORD_START = "=?"
_LINE_WIDTH = 76
_WORD_LIMIT = 900
"""A longer word is encoded: SMTP allows 998 characters in a line."""
_LINE_LIMIT = 998
_PLAIN = re.compile(r"[ -~]*")
_ATOMS = re.compile(r"[\w!#$%&'*+/=?^`{|}~ -]*", re.ASCII)
_WORDS = re.compile(r"\s*\S+")
_NOT_IN_A_FIELD = re.compile("[\x00-\x08\x0a-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class Mailbox:
    """One address of a header field, with the name that is shown for it.

    Attributes:
        addr_spec: the address; its domain is ASCII.
        display_name: may be empty.
    """

    addr_spec: str
    display_name: str = ""

    def __str__(self) -> str:
        """Write it as people do, for logs and tests; ``in_header`` writes it for a header."""
        return self._written(self.display_name) if self.display_name else self.addr_spec

    def in_header(self) -> str:
        """Write it for a header field, with the name encoded where it has to be."""
        name = self.display_name
        if not name:
            return self.addr_spec
        if _is_plain(name):
            return self._written(name)
        return f"{_encode(name, 'To')} <{self.addr_spec}>"

    def _written(self, name: str) -> str:
        if not _ATOMS.fullmatch(name):
            name = '"' + re.sub(r'(["\\])', r"\\\1", name) + '"'
        return f"{name} <{self.addr_spec}>"


class TextHeader(BaseHeader):
    """A field of text that is written literally: an encoded word in it is text as any other."""

    max_count = 1

    @classmethod
    def parse(cls, value: str, kwds: dict[str, Any]) -> None:
        """Take the value as it is; called by ``BaseHeader``."""
        kwds["decoded"] = str(value)
        kwds["parse_tree"] = None

    def fold(self, *, policy: Any) -> str:
        """Write the field."""
        text = str(self)
        written = text if _is_plain(text) else _encode(text, self.name)
        return _fold(self.name, written, policy.linesep)


class MailboxesHeader(BaseHeader):
    """A field of one or several mailboxes.

    Attributes:
        mailboxes: its value.
    """

    max_count = 1
    mailboxes: tuple[Mailbox, ...]

    @classmethod
    def parse(cls, value: Sequence[Mailbox], kwds: dict[str, Any]) -> None:
        """Take mailboxes; called by ``BaseHeader``."""
        kwds["mailboxes"] = tuple(value)
        kwds["decoded"] = ", ".join(map(str, value))
        kwds["parse_tree"] = None

    def init(self, name: str, **kwds: Any) -> None:
        """Keep the value; called by ``BaseHeader``."""
        self.mailboxes = kwds.pop("mailboxes")
        super().init(name, **kwds)

    def fold(self, *, policy: Any) -> str:
        """Write the field."""
        written = ", ".join(mailbox.in_header() for mailbox in self.mailboxes)
        return _fold(self.name, written, policy.linesep)


class MessageIdHeader(TextHeader):
    """The field ``Message-ID``, on one line: many programs do not unfold it."""

    def fold(self, *, policy: Any) -> str:
        """Write the field."""
        return f"{self.name}: {self!s}{policy.linesep}"


class MailPolicy(EmailPolicy):
    """The rules of SMTP, with every field checked after it was folded."""

    def fold(self, name: str, value: str) -> str:
        """Write a field as text.

        Raises:
            PayloadError: its value would write something that is not part of the field.
        """
        folded: str = super().fold(name, value)
        _check_folded(name, folded, self.linesep)
        return folded

    def fold_binary(self, name: str, value: str) -> bytes:
        """Write a field as bytes; see ``fold``."""
        folded = super().fold_binary(name, value)
        _check_folded(name, folded.decode("utf-8", "replace"), self.linesep)
        return folded


def _registry() -> HeaderRegistry:
    registry = HeaderRegistry()
    fields: dict[str, type[BaseHeader]] = {
        "subject": TextHeader,
        "from": MailboxesHeader,
        "to": MailboxesHeader,
        "message-id": MessageIdHeader,
    }
    for name, kind in fields.items():
        registry.map_to_type(name, kind)
    return registry


MAIL_POLICY = MailPolicy(linesep="\r\n", header_factory=_registry())
"""The policy of all messages that ``messages`` builds."""


def check_content(message: EmailMessage, content: bytes) -> None:
    """Check that the bytes of a message hold its own header fields, and no others.

    Args:
        message: the message, with all its parts.
        content: what was written of it.

    Raises:
        PayloadError: a field would end early, or another one would appear.
    """
    written = message_from_bytes(content)
    for ours, theirs in zip(_fields_of(message), _fields_of(written), strict=False):
        if ours != theirs:
            added = [name for name in theirs if name not in ours] or ["the end of the header"]
            raise PayloadError(
                f"the message was not sent: a line end in the value of a header field would write "
                f"{', '.join(added)} into it; the fields set are {', '.join(ours)}"
            )
    if len(_fields_of(message)) != len(_fields_of(written)):
        raise PayloadError(
            "the message was not sent: a line end in the value of a header field would change "
            "which parts it has"
        )


def _fields_of(message: Message) -> list[list[str]]:
    return [part.keys() for part in message.walk()]


def _check_folded(name: str, folded: str, linesep: str) -> None:
    """Check that a folded field is one field: each further line begins with a blank."""
    first, *others = folded.removesuffix(linesep).split(linesep)
    is_one_field = (
        folded.endswith(linesep)
        and first.startswith(f"{name}:")
        and all(line[:1] in (" ", "\t") and line.strip() for line in others)
        and not any(_NOT_IN_A_FIELD.search(line) for line in (first, *others))
        and all(len(line) <= _LINE_LIMIT for line in (first, *others))
    )
    if not is_one_field:
        raise PayloadError(
            f"the message was not sent: the value of the header field {name} holds a line end, "
            "another control character or a line that is too long; expected text of one line"
        )


def _is_plain(text: str) -> bool:
    """Tell whether text needs no encoding: printable ASCII that nobody would decode."""
    return (
        _PLAIN.fullmatch(text) is not None
        and ENCODED_WORD_START not in text
        and text == text.strip(" ")
        and all(len(word) <= _WORD_LIMIT for word in text.split(" "))
    )


def _encode(text: str, field: str) -> str:
    """Write text as encoded words, separated by blanks."""
    lines = Header(text, charset="utf-8", header_name=field).encode(linesep="\n")
    return " ".join(lines.split())


def _fold(name: str, written: str, linesep: str) -> str:
    """Write a field in lines of at most 76 characters where its words allow it."""
    lines = [f"{name}:"]
    for word in _WORDS.findall(f" {written}"):
        if len(lines[-1]) + len(word) > _LINE_WIDTH and lines[-1] != f"{name}:":
            lines.append("")
        lines[-1] += word
    return linesep.join(lines) + linesep


def mailboxes_of(message: EmailMessage, field: str) -> tuple[Mailbox, ...]:
    """Return the mailboxes of a field, whatever policy the message has."""
    header: Any = message[field]
    if isinstance(header, MailboxesHeader):
        return header.mailboxes
    addresses = cast("Any", header).addresses
    return tuple(Mailbox(each.addr_spec, each.display_name) for each in addresses)
