"""What text may go into an e-mail: the gate against header injection and broken links.

Every function returns nothing and raises ``PayloadError``; no error repeats the value of a
secret. A payload calls them when it is made, so the caller of ``send_*`` and the worker that
reads another program's job hold the same rules.
"""

from __future__ import annotations

import re

from email_validator import EmailNotValidError, ValidatedEmail, validate_email

from oxcart.errors import PayloadError
from oxcart.mail.headers import ENCODED_WORD_START

# Controls end a header or hide text; U+2028 and U+2029 count as line ends in many readers; a lone
# surrogate cannot be encoded at all.
_NOT_IN_A_LINE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_NOT_IN_TEXT = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")


def check_line(value: str, *, what: str, max_length: int, is_required: bool = True) -> None:
    """Check text that must stay on one line: a name, a title, a token.

    Args:
        value: the text.
        what: the field's name on the wire, for the error.
        max_length: in characters.
        is_required: refuse text that is empty or blank.
    """
    _check(value, what=what, max_length=max_length, forbidden=_NOT_IN_A_LINE)
    if is_required and not value.strip():
        raise PayloadError(f"{what} is empty")


def check_text(value: str, *, what: str, max_length: int) -> None:
    """Check text of any number of lines; tabs and line ends are its only controls."""
    _check(value, what=what, max_length=max_length, forbidden=_NOT_IN_TEXT)
    if not value.strip():
        raise PayloadError(f"{what} is empty")


def check_address(value: str, *, what: str) -> None:
    """Check that an address could be delivered to; no DNS is asked."""
    _check(value, what=what, max_length=320, forbidden=_NOT_IN_A_LINE)
    parse_address(value, what=what)


def parse_address(value: str, *, what: str) -> ValidatedEmail:
    """Take an address apart.

    Raises:
        PayloadError: it is not one; the text says why.
    """
    if ENCODED_WORD_START in value:
        raise PayloadError(
            f"{what} holds {ENCODED_WORD_START!r}, the start of an RFC 2047 encoded word, which is "
            "not part of an address; expected one such as ada@example.com"
        )
    try:
        return validate_email(value, check_deliverability=False, test_environment=True, strict=True)
    except EmailNotValidError as error:
        raise PayloadError(f"{what} is not an e-mail address: {error}") from error


def check_path(value: str, *, what: str, max_length: int) -> None:
    """Check a path of the web application, such as ``/wiki/physics?tab=talk#top``.

    It is joined to the application's URL as text, so anything that does not start with a slash
    could change the host (``@evil.example``) or the scheme.
    """
    _check(value, what=what, max_length=max_length, forbidden=_NOT_IN_A_LINE)
    if not value.startswith("/"):
        raise PayloadError(f"{what} must be a path of the application that starts with '/'")


def _check(value: object, *, what: str, max_length: int, forbidden: re.Pattern[str]) -> None:
    if not isinstance(value, str):
        raise PayloadError(f"{what} must be text, not {type(value).__name__}")
    if len(value) > max_length:
        raise PayloadError(f"{what} has {len(value)} characters; at most {max_length} are allowed")
    if found := forbidden.search(value):
        raise PayloadError(f"{what} holds the control character U+{ord(found[0]):04X}")
