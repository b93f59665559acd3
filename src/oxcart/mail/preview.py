"""Previews of the e-mails: each with example values, as files."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from oxcart.mail import payloads
from oxcart.mail.messages import build_message

if TYPE_CHECKING:
    from pathlib import Path

    from oxcart.mail.letterhead import Letterhead

_ADA, _NAME = "ada.lovelace@example.org", "Ada Lovelace"
_EXAMPLES = (
    payloads.welcome(_ADA, _NAME),
    payloads.verification(_ADA, _NAME, "tok-3f9a71c2"),
    payloads.password_reset(_ADA, "481516"),
    payloads.notification(
        _ADA,
        _NAME,
        "Your page was approved",
        "“Analytical Engines & <Looms>” is online now.\n\nThank you for writing it.",
        "/wiki/analytical-engines",
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PreviewedEmail:
    """An e-mail that was written to a folder.

    Attributes:
        name: its job's name.
        subject: its subject.
        paths: the whole message, its HTML and its text.
    """

    name: str
    subject: str
    paths: tuple[Path, ...]


def write_previews(letterhead: Letterhead, folder: Path) -> list[PreviewedEmail]:
    """Write each of the four e-mails as ``.eml``, ``.html`` and ``.txt``; files are replaced.

    Args:
        letterhead: with the templates to preview.
        folder: made if it is missing.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    written = []
    for payload in _EXAMPLES:
        message = build_message(payload, letterhead, job_id="preview")
        contents = {".eml": message.as_bytes()}
        for kind, suffix in (("html", ".html"), ("plain", ".txt")):
            part = message.get_body((kind,))
            text = "" if part is None else str(part.get_content())
            contents[suffix] = text.replace("\r\n", "\n").encode()
        paths = tuple(folder / f"{payload.type}{suffix}" for suffix in contents)
        for path, content in zip(paths, contents.values(), strict=True):
            path.write_bytes(content)
        written.append(
            PreviewedEmail(name=payload.type, subject=str(message["Subject"]), paths=paths)
        )
    return written
