"""The sender of mails and the web application's URL: taken apart, or refused."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from oxcart.errors import ConfigError

if TYPE_CHECKING:
    from email_validator import ValidatedEmail

_NOT_IN_A_URL = re.compile("[\\s\"'<>\\x00-\\x1f\\x7f-\\x9f]")
_WANTED_URL = "it must be http:// or https:// with a host, and no query or fragment"


def parse_sender(sender: str) -> ValidatedEmail:
    """Take a From line apart.

    Raises:
        ConfigError: what it must be, and why this is not it; the value itself is not in the text.
    """
    # Imported here: reading settings needs none of e-mail's libraries.
    from email_validator import EmailNotValidError, validate_email

    try:
        return validate_email(
            sender,
            allow_display_name=True,
            allow_smtputf8=False,
            check_deliverability=False,
            globally_deliverable=False,
        )
    except EmailNotValidError as error:
        raise ConfigError(f'it must be of the form "Name" <name@domain>: {error}') from error


def check_app_url(url: str) -> None:
    """Check the URL that links in mails begin with.

    Raises:
        ConfigError: what it must be; the value itself is not in the text.
    """
    if _NOT_IN_A_URL.search(url):
        raise ConfigError(f"it holds a space or a quote; {_WANTED_URL}")
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise ConfigError(_WANTED_URL) from error
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise ConfigError(_WANTED_URL)
