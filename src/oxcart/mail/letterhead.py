"""What all mails of one application share: its name, its address on the web, the sender."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from email.headerregistry import Address
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

from email_validator import EmailNotValidError, ValidatedEmail, validate_email

from oxcart.errors import ConfigError, PayloadError
from oxcart.mail.checks import check_line

if TYPE_CHECKING:
    from oxcart.settings import Settings

_PATH_SAFE = "/?#[]@!$&'()*+,;=:%~"
"""What a path keeps as it is; the rest is percent-encoded."""
_NOT_IN_A_URL = re.compile("[\\s\"'<>\\x00-\\x1f\\x7f-\\x9f]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Letterhead:
    """The application in whose name mails are sent.

    Attributes:
        app_name: shown in subjects and texts.
        app_url: where links lead; ``http`` or ``https``, kept without a trailing slash.
        sender: the From line, such as ``"Cofactor Club" <no-reply@cofactor.world>``.
        sender_address: the sender as a header wants it; taken from ``sender``.
        domain: the sender's domain, in ASCII; taken from ``sender``.

    Raises:
        ConfigError: one of them cannot work.
    """

    app_name: str
    app_url: str
    sender: str
    sender_address: Address = field(init=False, repr=False)
    domain: str = field(init=False, repr=False)

    def __post_init__(self) -> None:
        try:
            check_line(self.app_name, what="the application's name", max_length=100)
        except PayloadError as error:
            raise ConfigError(str(error)) from error
        parsed = _parsed_sender(self.sender)
        address = Address(parsed.display_name or "", addr_spec=parsed.ascii_email or "")
        object.__setattr__(self, "app_url", _checked_url(self.app_url))
        object.__setattr__(self, "sender_address", address)
        object.__setattr__(self, "domain", parsed.ascii_domain)

    @classmethod
    def from_settings(cls, settings: Settings) -> Letterhead:
        """Take the letterhead from the settings."""
        return cls(app_name=settings.app_name, app_url=settings.app_url, sender=settings.smtp_from)

    def link(self, path: str) -> str:
        """Join a path that starts with a slash to the application's URL."""
        return self.app_url + quote(path, safe=_PATH_SAFE)


def _parsed_sender(sender: str) -> ValidatedEmail:
    try:
        return validate_email(
            sender,
            allow_display_name=True,
            allow_smtputf8=False,
            check_deliverability=False,
            globally_deliverable=False,
        )
    except EmailNotValidError as error:
        raise ConfigError(
            f'the sender {sender!r} is not of the form "Name" <name@domain>: {error}'
        ) from error


def _checked_url(url: str) -> str:
    wanted = "it must be http:// or https:// with a host, and no query or fragment"
    if _NOT_IN_A_URL.search(url):
        raise ConfigError(f"the application's URL {url!r} holds a space or a quote; {wanted}")
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise ConfigError(f"the application's URL is {url!r}; {wanted}") from error
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise ConfigError(f"the application's URL is {url!r}; {wanted}")
    return url.rstrip("/")
