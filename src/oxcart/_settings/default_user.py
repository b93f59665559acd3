"""Decides whether requests without an API key may act for the sample data's administrator."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from oxcart._settings.rules import is_loopback

if TYPE_CHECKING:
    from oxcart.settings import Settings


def why_no_default_user(settings: Settings) -> str | None:
    """Return the reason why every request needs an API key, as a clause; None: not every one does.

    Only the sample data may be open: in development, in the default SQLite file, behind an API
    that other machines do not use. Which requests count as local, the HTTP layer decides.
    """
    if settings.env != "development":
        return f"this runs as {settings.env}"
    if settings.database_url is not None:
        return "DATABASE_URL is set, and only the sample data of the default SQLite file is open"
    if not is_loopback(urlsplit(settings.base_url).hostname or ""):
        name = "OXCART_API_HOST" if settings.api_url is None else "OXCART_API_URL"
        return f"{name} is not a loopback address"
    return None
