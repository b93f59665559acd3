"""What all mails of one application share: its name, its address on the web, the sender."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import quote

from oxcart._settings.letterhead import check_app_url, parse_sender
from oxcart.errors import ConfigError, PayloadError
from oxcart.mail.checks import check_line
from oxcart.mail.headers import Mailbox

if TYPE_CHECKING:
    from email_validator import ValidatedEmail

    from oxcart.settings import Settings

_PATH_SAFE = "/?#[]@!$&'()*+,;=:%~"
"""What a path keeps as it is; the rest is percent-encoded."""


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
    sender_address: Mailbox = field(init=False, repr=False)
    domain: str = field(init=False, repr=False)

    def __post_init__(self) -> None:
        try:
            check_line(self.app_name, what="the application's name", max_length=100)
        except PayloadError as error:
            raise ConfigError(str(error)) from error
        parsed = _parsed_sender(self.sender)
        address = Mailbox(parsed.ascii_email or "", parsed.display_name or "")
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
        return parse_sender(sender)
    except ConfigError as error:
        raise ConfigError(f"the sender is {sender!r}: {error}") from error


def _checked_url(url: str) -> str:
    try:
        check_app_url(url)
    except ConfigError as error:
        raise ConfigError(f"the application's URL is {url!r}: {error}") from error
    return url.rstrip("/")
