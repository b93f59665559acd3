"""Checks and clean-up of the text that goes into e-mails.

The checks raise ``PayloadError``, and no error repeats the value of a secret. A payload calls them
when it is made, so the rules are the same for a caller of ``send_*`` and for a job that another
program added. What is harmless is not refused but made fit by ``one_line`` and ``plain_text`` when
the message is built.
"""

from __future__ import annotations

import re

from oxcart.errors import PayloadError

# Controls end a header or hide text; U+2028 and U+2029 count as line ends in many readers; a lone
# surrogate cannot be encoded at all.
_NOT_IN_A_SECRET = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
# Line ends and tabs are made fit; other controls have no meaning in a mail.
_NOT_IN_TEXT = re.compile("[\x00-\x08\x0e-\x1f\x7f]")
_LINE_ENDS = re.compile("\r\n|[\r\x0b\x0c\x85\u2028\u2029]")
_UNREADABLE = re.compile("[\x80-\x9f\ud800-\udfff]")
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*:", re.IGNORECASE)
_MAX_LINK_LENGTH = 2_000
_LINK_WISH = "expected a path such as /wiki/physics, or a URL of the application"


def check_text(value: str, *, what: str, is_required: bool = True) -> None:
    """Check text that a reader sees: a name, a title, a message.

    Args:
        value: the text; line ends and tabs are its only controls.
        what: the field's name on the wire, for the error.
        is_required: refuse text that is empty or blank.
    """
    _check(value, what=what, forbidden=_NOT_IN_TEXT, wish="text; tabs and line ends are accepted")
    if is_required and not value.strip():
        raise PayloadError(f"{what} is empty; expected text")


def check_line(value: str, *, what: str, max_length: int) -> None:
    """Check text that is used as it is, such as a token: one line of at most so many characters."""
    _check(value, what=what, forbidden=_NOT_IN_A_SECRET, wish="one line without controls")
    if len(value) > max_length:
        raise PayloadError(f"{what} has {len(value)} characters; at most {max_length} are allowed")
    if not value.strip():
        raise PayloadError(f"{what} is empty; expected text")


def check_link(value: str, *, what: str) -> None:
    """Check a path of the web application, such as ``/wiki/physics``, or an absolute URL of it.

    Whether an absolute URL is one of the application is known where its URL is: in
    ``Letterhead.link``.
    """
    _check(value, what=what, forbidden=_NOT_IN_A_SECRET, wish="one line without controls")
    if len(value) > _MAX_LINK_LENGTH:
        raise PayloadError(
            f"{what} has {len(value)} characters; at most {_MAX_LINK_LENGTH} are allowed"
        )
    if is_absolute(value) and not value.lower().lstrip().startswith(("http://", "https://")):
        raise PayloadError(f"{what} is {value[:100]!r}; {_LINK_WISH}")


def is_absolute(link: str) -> bool:
    """Tell whether a link begins with a scheme, as ``https:`` or ``javascript:`` do."""
    return _SCHEME.match(link.lstrip()) is not None


def foreign_link(link: str, *, what: str, app_url: str) -> PayloadError:
    """Return the error about a link that leads to another site."""
    return PayloadError(f"{what} is {link[:100]!r}; {_LINK_WISH}: {app_url}/…")


def plain_text(value: str) -> str:
    """Return text whose line ends are LF; what cannot be written becomes U+FFFD."""
    return _UNREADABLE.sub("\ufffd", _LINE_ENDS.sub("\n", value))


def one_line(value: str) -> str:
    """Return text on one line: line ends and tabs become blanks, as Nodemailer does."""
    return re.sub(r"[\t\n]+", " ", plain_text(value)).strip()


def _check(value: object, *, what: str, forbidden: re.Pattern[str], wish: str) -> None:
    if not isinstance(value, str):
        raise PayloadError(f"{what} must be text, not {type(value).__name__}")
    if found := forbidden.search(value):
        raise PayloadError(
            f"{what} holds the control character U+{ord(found[0]):04X}; expected {wish}"
        )
