"""Reads the folder of the development mailbox: one ``.eml`` file a mail, named by its time."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import UTC, datetime
from email import policy
from email.parser import BytesParser
from pathlib import Path

SUFFIX = ".eml"
NAME_TIME = "%Y%m%dT%H%M%S.%fZ"
"""How a file's name starts: when its mail was accepted."""
SENDER_HEADER, RECIPIENT_HEADER = "Return-Path", "Delivered-To"
"""What the mailbox adds at the top of each mail: the addresses of the SMTP dialogue."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptMessage:
    """One mail in the folder.

    Attributes:
        subject: the header, decoded.
        recipient: where the dialogue said it goes; several are joined by commas.
        sender: where the dialogue said it comes from.
        received_at: when the mailbox accepted it.
        path: its file.
        size_bytes: the file's size.
    """

    subject: str
    recipient: str
    sender: str
    received_at: datetime
    path: Path
    size_bytes: int


def list_messages(folder: Path) -> list[KeptMessage]:
    """List the mails in a mailbox folder, the newest last.

    Mails that disappear while the folder is read are left out.
    """
    messages = []
    for path in sorted(folder.glob(f"*{SUFFIX}")):
        try:
            messages.append(_read_head(path))
        except FileNotFoundError:
            continue
    return messages


def _read_head(path: Path) -> KeptMessage:
    with path.open("rb") as file:
        head = BytesParser(policy=policy.default).parse(file, headersonly=True)
        status = os.fstat(file.fileno())
    return KeptMessage(
        subject=str(head.get("Subject", "")),
        recipient=str(head.get(RECIPIENT_HEADER, head.get("To", ""))),
        sender=str(head.get(SENDER_HEADER, head.get("From", ""))).strip("<>"),
        received_at=_received_at(path, status.st_mtime),
        path=path,
        size_bytes=status.st_size,
    )


def _received_at(path: Path, modified_at: float) -> datetime:
    try:
        return datetime.strptime(path.name.split("-")[0], NAME_TIME).replace(tzinfo=UTC)
    except ValueError:  # a file that somebody put there
        return datetime.fromtimestamp(modified_at, tz=UTC)
