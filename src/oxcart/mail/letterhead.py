"""What all mails of one application share: its name, its URL, the sender, the templates."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import quote

from oxcart._settings.letterhead import check_app_url, parse_sender
from oxcart.errors import ConfigError, PayloadError
from oxcart.mail.checks import check_line, foreign_link, is_absolute
from oxcart.mail.headers import Mailbox
from oxcart.mail.templates import EmailTemplates, built_in_templates, load_templates

if TYPE_CHECKING:
    from email_validator import ValidatedEmail

    from oxcart.settings import Settings

_SAFE = "/?#[]@!$&'()*+,;=:%~"
"""What a path keeps as it is; the rest is percent-encoded."""
# Without user information and backslashes, which programs read in different ways.
_ORIGIN = re.compile(
    r"(https?)://([^/?#:@\\\s]+|\[[0-9a-f:.]+\])(?::(\d{1,5}))?([/?#].*)?", re.IGNORECASE
)
_DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True, kw_only=True)
class Letterhead:
    """The application in whose name mails are sent.

    Attributes:
        app_name: shown in subjects and texts.
        app_url: where links lead; ``http`` or ``https``, kept without a trailing slash.
        sender: the From line, such as ``"Cofactor Club" <no-reply@cofactor.world>``.
        templates: the templates of its mails.
        sender_address: the sender as a header wants it; taken from ``sender``.
        domain: the sender's domain, in ASCII; taken from ``sender``.

    Raises:
        ConfigError: one of them cannot work.
    """

    app_name: str
    app_url: str
    sender: str
    templates: EmailTemplates = field(default_factory=built_in_templates, compare=False, repr=False)
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
        """Take the letterhead from the settings.

        Raises:
            ConfigError: a setting or a template cannot work.
        """
        return cls(
            app_name=settings.app_name,
            app_url=settings.app_url,
            sender=settings.sender,
            templates=load_templates(settings.mail_templates),
        )

    def link(self, link: str, *, what: str = "the link") -> str:
        """Return the URL of a path of the application, or of an absolute URL that is one of it.

        Args:
            link: a path, with or without a leading slash, or an absolute URL.
            what: the name of the link's field, for the error.

        Raises:
            PayloadError: it leads to another site.
        """
        link = link.strip()
        if not is_absolute(link):
            return self.app_url + quote(link if link.startswith("/") else f"/{link}", safe=_SAFE)
        origin, rest = _split_origin(link)
        if origin is None or origin != _split_origin(self.app_url)[0]:
            raise foreign_link(link, what=what, app_url=self.app_url)
        own_scheme_and_host = "/".join(self.app_url.split("/")[:3])
        return own_scheme_and_host + quote(rest, safe=_SAFE)


def _split_origin(url: str) -> tuple[tuple[str, str, int] | None, str]:
    """Split a URL into its origin (None: not one that can be compared) and what follows it."""
    found = _ORIGIN.fullmatch(url)
    if found is None:
        return None, ""
    scheme, host, port, rest = found.groups()
    default = _DEFAULT_PORTS[scheme.lower()]
    return (scheme.lower(), host.lower(), int(port or default)), rest or ""


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
