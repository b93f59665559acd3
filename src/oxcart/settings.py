"""Every setting of the built-in system, read from the environment in one place."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

import msgspec

from oxcart.errors import ConfigError

Port = Annotated[int, msgspec.Meta(ge=1, le=65535)]
RedisUrl = Annotated[str, msgspec.Meta(pattern=r"^(rediss?|unix|rediss?\+(cluster|sentinel))://")]
WebUrl = Annotated[str, msgspec.Meta(pattern=r"^https?://")]
Positive = Annotated[int, msgspec.Meta(ge=1)]


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """The settings, each with the environment variable that sets it (``ENVIRONMENT``)."""

    env: Literal["development", "production", "test"] = "development"
    """Where this runs. Production refuses everything that is only good for development."""
    data_dir: Path = Path(".oxcart")
    """Folder of the embedded Valkey, the SQLite file, the development mailbox and the exports."""
    redis_url: RedisUrl | None = None
    """Redis or Valkey: one server, a cluster or Sentinels; without it a private Valkey is started
    in ``data_dir``."""
    prefix: str = "bull"
    """Prefix of every key, as BullMQ's."""
    database_url: str | None = None
    """SQLAlchemy or ``postgresql://`` URL; without it SQLite in ``data_dir``."""

    smtp_host: str | None = None
    smtp_port: Port = 587
    smtp_user: str | None = None
    smtp_password: str | None = None
    smtp_from: str = '"Cofactor Club" <no-reply@cofactor.world>'
    smtp_tls: Literal["auto", "starttls", "implicit", "none"] = "auto"
    """``auto``: implicit on port 465, none on loopback, else STARTTLS (required)."""

    app_name: str = "Cofactor Club"
    app_url: WebUrl = "http://localhost:3000"
    """The web application that links in e-mails lead to."""

    api_host: str = "127.0.0.1"
    api_port: Port = 8400
    api_url: WebUrl | None = None
    """The API as its clients reach it; without it ``http://{api_host}:{api_port}``."""
    operator_keys: tuple[str, ...] = ()
    """API keys that may see and do everything."""
    service_keys: tuple[str, ...] = ()
    """API keys that act for the user named in the header ``X-Oxcart-User``."""
    signing_secret: str | None = None
    """Signs download links; made and kept in ``data_dir`` in development."""
    max_body_bytes: Positive = 1_048_576
    link_seconds: Positive = 3600
    """How long a signed download link is good for."""

    storage_dir: Path | None = None
    """Where finished exports are kept; without it ``data_dir``/exports."""
    email_concurrency: Positive = 5
    export_concurrency: Positive = 2
    grace_seconds: Positive = 30
    """How long a stopping worker lets running jobs finish."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None) -> Settings:
        """Read the settings from the environment.

        Args:
            environ: variables to read instead of ``os.environ``.

        Raises:
            ConfigError: naming every variable that is wrong, what it holds and what it wants.
        """
        environ = os.environ if environ is None else environ
        hints = get_type_hints(cls, include_extras=True)
        values: dict[str, object] = {}
        problems: list[str] = []
        for field, names in ENVIRONMENT.items():
            name = next((name for name in names if environ.get(name, "").strip()), None)
            if name is None:
                continue
            raw = environ[name].strip()
            try:
                values[field] = _convert(raw, hints[field])
            except msgspec.ValidationError as error:
                shown = "(hidden)" if field in SECRET_FIELDS else repr(raw)
                problems.append(f"{name} is {shown}: {_wish(hints[field]) or error}")
        if problems:
            raise ConfigError("wrong settings: " + "; ".join(problems))
        return cls(**values)  # type: ignore[arg-type]  # each value was converted by its own hint

    @property
    def is_production(self) -> bool:
        """Whether development's conveniences are forbidden."""
        return self.env == "production"

    @property
    def base_url(self) -> str:
        """The API's own URL, without a trailing slash."""
        return (self.api_url or f"http://{self.api_host}:{self.api_port}").rstrip("/")

    def __repr__(self) -> str:
        """Show the settings with secrets masked."""
        shown = (f"{name}={self._shown(name)}" for name in self.__struct_fields__)
        return f"Settings({', '.join(shown)})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        """Show the settings with secrets masked, in rich's tracebacks and prints too."""
        return [
            (name, "***" if name in SECRET_FIELDS and getattr(self, name) else getattr(self, name))
            for name in self.__struct_fields__
        ]

    def _shown(self, name: str) -> str:
        value = getattr(self, name)
        return "'***'" if name in SECRET_FIELDS and value else repr(value)


ENVIRONMENT: dict[str, tuple[str, ...]] = {
    "env": ("OXCART_ENV",),
    "data_dir": ("OXCART_DATA_DIR",),
    "redis_url": ("REDIS_URL",),
    "prefix": ("OXCART_PREFIX",),
    "database_url": ("DATABASE_URL",),
    "smtp_host": ("SMTP_HOST",),
    "smtp_port": ("SMTP_PORT",),
    "smtp_user": ("SMTP_USER",),
    "smtp_password": ("SMTP_PASS",),
    "smtp_from": ("SMTP_FROM",),
    "smtp_tls": ("OXCART_SMTP_TLS",),
    "app_name": ("OXCART_APP_NAME",),
    "app_url": ("NEXTAUTH_URL", "APP_URL"),
    "api_host": ("OXCART_API_HOST",),
    "api_port": ("OXCART_API_PORT",),
    "api_url": ("OXCART_API_URL",),
    "operator_keys": ("OXCART_OPERATOR_KEYS",),
    "service_keys": ("OXCART_SERVICE_KEYS",),
    "signing_secret": ("OXCART_SIGNING_SECRET",),
    "max_body_bytes": ("OXCART_MAX_BODY_BYTES",),
    "link_seconds": ("OXCART_LINK_SECONDS",),
    "storage_dir": ("OXCART_STORAGE_DIR",),
    "email_concurrency": ("OXCART_EMAIL_CONCURRENCY",),
    "export_concurrency": ("OXCART_EXPORT_CONCURRENCY",),
    "grace_seconds": ("OXCART_GRACE_SECONDS",),
    "log_level": ("OXCART_LOG_LEVEL",),
}
"""Each setting's environment variables; the first that is set and not empty wins."""

SECRET_FIELDS = frozenset(
    {
        "redis_url",
        "database_url",
        "smtp_password",
        "operator_keys",
        "service_keys",
        "signing_secret",
    }
)
"""Settings that are never shown: URLs may hold passwords."""


def _wish(hint: object) -> str | None:
    """What a setting wants, where its type says it better than the error does."""
    if get_origin(hint) is Literal:
        return "it must be one of " + ", ".join(get_args(hint))
    return None


def _convert(raw: str, hint: object) -> object:
    """Turn a variable's text into the setting's type."""
    if hint == tuple[str, ...]:
        return tuple(part.strip() for part in raw.split(",") if part.strip())
    if hint in (Path, Path | None):
        try:
            return Path(raw).expanduser()
        except RuntimeError as error:
            raise msgspec.ValidationError(str(error)) from error
    return msgspec.convert(raw, hint, strict=False)
