"""How to reach the SMTP server: host, encryption, log-in, and how long to wait for what."""

from __future__ import annotations

import enum
import socket
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from oxcart._settings.rules import is_loopback
from oxcart.errors import ConfigError

if TYPE_CHECKING:
    from oxcart.settings import Settings

_IMPLICIT_TLS_PORT = 465


class TlsMode(enum.StrEnum):
    """How the connection is encrypted. There is no "if the server happens to offer it"."""

    NONE = "none"
    STARTTLS = "starttls"
    """Upgraded after the greeting; a server that does not offer it is not used."""
    IMPLICIT = "implicit"
    """Encrypted from the first byte, as on port 465."""


def _own_name() -> str:
    """Name this machine for EHLO, without asking DNS on every connection."""
    name = socket.gethostname()
    return name if "." in name and name.isascii() else "[127.0.0.1]"


@dataclass(frozen=True, slots=True, kw_only=True)
class SmtpSettings:
    """How to reach the SMTP server.

    Attributes:
        host: name or address.
        port: its port.
        tls: how the connection is encrypted.
        username: whom to log in as; ``None``: no log-in.
        password: for ``username``.
        local_hostname: how this machine names itself to the server.
        connect_limit: how long connecting may take, and again the greeting.
        command_limit: how long the server may take to answer a command.
        content_limit: how long it may take to accept a mail's content. Long, because it may
            have accepted the mail when we stop listening, and then the next attempt sends it twice.
        idle_limit: how long an unused connection is kept.
        max_mails: how many mails one connection sends before it is replaced.
        max_connections: how many connections there may be, and so mails sent at a time.
        fewer_for: how long fewer connections are used after the server let no more in, before one
            more is tried.

    Raises:
        ConfigError: the settings contradict one another.
    """

    host: str
    port: int
    tls: TlsMode
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    local_hostname: str = field(default_factory=_own_name)
    connect_limit: timedelta = timedelta(seconds=5)
    command_limit: timedelta = timedelta(seconds=30)
    content_limit: timedelta = timedelta(minutes=5)
    idle_limit: timedelta = timedelta(seconds=30)
    max_mails: int = 100
    max_connections: int = 5
    fewer_for: timedelta = timedelta(minutes=1)

    def __post_init__(self) -> None:
        if self.max_connections < 1:
            raise ConfigError(f"max_connections is {self.max_connections}; it must be 1 or more")
        if (self.username is None) != (self.password is None):
            given, missing = ("SMTP_USER", "SMTP_PASS")[:: 1 if self.username else -1]
            raise ConfigError(f"{given} is set but {missing} is not; a log-in needs both")
        if self.username and self.tls is TlsMode.NONE and not is_loopback(self.host):
            raise ConfigError(
                f"logging in to {self.host} without TLS would send the password in clear; set "
                "OXCART_SMTP_TLS to starttls or implicit"
            )

    @classmethod
    def from_settings(
        cls, settings: Settings, *, max_connections: int | None = None
    ) -> SmtpSettings:
        """Take what is needed from the settings; ``auto`` encryption is decided here.

        Args:
            settings: the settings.
            max_connections: instead of their ``email_concurrency``.

        Raises:
            ConfigError: no SMTP server is set, or half a log-in is.
        """
        if settings.smtp_host is None:
            raise ConfigError("SMTP_HOST is not set")
        if max_connections is None:
            max_connections = settings.email_concurrency
        return cls(
            host=settings.smtp_host,
            port=settings.smtp_port,
            tls=_tls_mode(settings),
            username=settings.smtp_user,
            password=settings.smtp_password,
            max_connections=max_connections,
        )


def _tls_mode(settings: Settings) -> TlsMode:
    if settings.smtp_tls != "auto":
        return TlsMode(settings.smtp_tls)
    if settings.smtp_port == _IMPLICIT_TLS_PORT:
        return TlsMode.IMPLICIT
    return TlsMode.NONE if is_loopback(settings.smtp_host or "") else TlsMode.STARTTLS
