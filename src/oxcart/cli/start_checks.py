"""What must be right before a program starts, all told at once."""

from __future__ import annotations

import os

from oxcart.errors import ConfigError
from oxcart.settings import Settings


def check_start(settings: Settings, *, sends_mail: bool = False, serves_http: bool = False) -> None:
    """Refuse to start with settings that cannot work.

    Args:
        settings: what was read from the environment.
        sends_mail: the program sends e-mails.
        serves_http: the program answers requests.

    Raises:
        ConfigError: naming every variable that production misses, or whose folder is another
            user's.
    """
    if settings.is_production:
        missing = _missing(settings, sends_mail=sends_mail, serves_http=serves_http)
        if missing:
            raise ConfigError(f"OXCART_ENV is production, and these are not set: {missing}")
    _check_owner(settings)


def _missing(settings: Settings, *, sends_mail: bool, serves_http: bool) -> str:
    wanted = {
        "REDIS_URL": settings.redis_url,
        "DATABASE_URL": settings.database_url,
        "OXCART_SIGNING_SECRET": settings.signing_secret,
    }
    if sends_mail:
        wanted["SMTP_HOST"] = settings.smtp_host
    if serves_http:
        keys = settings.operator_keys or settings.service_keys
        wanted["OXCART_OPERATOR_KEYS or OXCART_SERVICE_KEYS"] = ",".join(keys)
    return ", ".join(name for name, value in wanted.items() if not value)


def _check_owner(settings: Settings) -> None:
    """One run as another user, root above all, would lock the folder's owner out of it."""
    try:
        owner = settings.data_dir.stat().st_uid
    except OSError:
        return
    if owner != os.geteuid() and settings.redis_url is None:
        raise ConfigError(
            f"{settings.data_dir} belongs to user {owner}, and this runs as user {os.geteuid()}; "
            "run it as that user, or set OXCART_DATA_DIR to another folder"
        )
