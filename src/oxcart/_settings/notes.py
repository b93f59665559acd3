"""What is worth knowing about the settings, though nothing is wrong with them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from oxcart._settings.rules import Needs, is_loopback
from oxcart._settings.start_mode import is_decided_by_node
from oxcart._settings.values import variable_in_use

if TYPE_CHECKING:
    from oxcart.settings import Settings

_SUBMISSION_PORT = 587
_EVERY_ADDRESS = ("0.0.0.0", "::")  # noqa: S104  # looked for, not listened on


def notes_of(settings: Settings, needs: Needs, environ: Mapping[str, str]) -> Iterator[str]:
    """Everything worth knowing, in sentences without values that may be secret."""
    yield from _doubled(environ)
    if is_decided_by_node(environ):
        yield "OXCART_ENV is not set, and NODE_ENV is production: this runs in production"
    is_sqlite = (settings.database_url or "").startswith("sqlite")
    if settings.is_production and needs.database and is_sqlite:
        yield "DATABASE_URL names a SQLite file: every program must run on this one machine"
    if needs.mail:
        yield from _about_mail(settings, environ)
    if needs.signing and settings.is_production and _is_only_here(settings.files_base_url):
        yield (
            f"download links will begin with {settings.files_base_url}, which other machines "
            "cannot reach; set OXCART_API_URL, or OXCART_FILES_URL to the site's address"
        )


def _doubled(environ: Mapping[str, str]) -> Iterator[str]:
    """Several variables of one setting that say different things."""
    from oxcart.settings import ENVIRONMENT

    for field, names in ENVIRONMENT.items():
        if field == "env":
            continue  # start_mode decides
        wins = variable_in_use(names, environ)
        for name in names:
            other = environ.get(name, "").strip()
            if wins is not None and other and other != environ[wins].strip():
                yield f"{wins} and {name} are both set and differ: {wins} counts"


def _about_mail(settings: Settings, environ: Mapping[str, str]) -> Iterator[str]:
    if settings.smtp_host is None:
        return
    if not environ.get("SMTP_HOST", "").strip():
        yield (
            f"SMTP_HOST is not set, SMTP_USER and SMTP_PASS are: mails go to {settings.smtp_host}"
        )
    if settings.smtp_port == _SUBMISSION_PORT and settings.smtp_tls == "implicit":
        yield (
            "OXCART_SMTP_TLS is implicit and SMTP_PORT is 587, where servers expect STARTTLS: "
            "port 465 is the one for implicit TLS"
        )
    if settings.is_production and _is_only_here(settings.app_url):
        yield (
            f"links in mails will lead to {settings.app_url}, which other machines cannot reach; "
            "set NEXTAUTH_URL or APP_URL"
        )


def _is_only_here(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    return is_loopback(host) or host in _EVERY_ADDRESS
