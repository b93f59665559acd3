"""Settings of authentication: sessions of the site, JSON Web Tokens, trusted origins."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec

from oxcart._settings.forms import NotNegative, WebUrl


class AuthenticationSettings(msgspec.Struct, frozen=True, kw_only=True):
    """A part of ``oxcart.settings.Settings``."""

    sessions: Literal["auto", "jwt", "database", "off"] = "auto"
    """Which session cookies of the site are accepted; ``auto``: encrypted tokens and sessions in
    the database, if one of the site's secrets is set."""
    auth_secret: str | None = None
    """The secret of Auth.js v5, which encrypts the session tokens."""
    auth_secret_1: str | None = None
    auth_secret_2: str | None = None
    auth_secret_3: str | None = None
    """Further secrets of Auth.js v5, of which it encrypts with the one of the highest number."""
    nextauth_secret: str | None = None
    """The secret of NextAuth v4, which encrypts the session tokens."""
    old_session_secrets: tuple[str, ...] = ()
    """Secrets that were replaced; tokens made with them are accepted until they expire."""
    session_cookies: tuple[str, ...] = ()
    """The names of the session cookie, if the site does not use the default ones."""
    session_user_claim: str = "sub"
    """The claim of a session token that holds the user's id, or ``email``."""
    jwt_secret: str | None = None
    """The shared secret of JSON Web Tokens that are accepted as bearer tokens."""
    jwt_keys_file: Path | None = None
    """A file with the public keys of such tokens, as a JWK Set or PEM."""
    jwt_jwks_url: WebUrl | None = None
    """The URL of the issuer's public keys, a JWK Set."""
    jwt_issuers: tuple[str, ...] = ()
    """The issuers of such tokens (``iss``)."""
    jwt_audiences: tuple[str, ...] = ()
    """The audiences of such tokens (``aud``), of which one is this API."""
    jwt_algorithms: tuple[str, ...] = ()
    """The accepted signature algorithms; without it the usual ones of the given keys."""
    jwt_user_claim: str = "sub"
    """The claim of such a token that holds the user's id, or ``email``."""
    jwt_leeway_seconds: NotNegative = 30
    """How far the issuer's clock and this one may differ."""
    auth_hook: str | None = None
    """A callable of the application that finds the user of a request, as ``module:attribute``."""
    proxy_user_header: str | None = None
    """The header in which a trusted proxy names the user that it has logged in."""
    trusted_origins: tuple[str, ...] = ()
    """Origins beside those of ``app_url`` and ``api_url`` whose pages may use a session cookie to
    change something."""

    @property
    def session_secrets(self) -> tuple[str, ...]:
        """The secrets that the site's session tokens may be made with, without doubles."""
        numbered = (self.auth_secret_3, self.auth_secret_2, self.auth_secret_1)
        given = (*numbered, self.auth_secret, self.nextauth_secret, *self.old_session_secrets)
        return tuple(dict.fromkeys(secret for secret in given if secret))

    @property
    def accepts_sessions(self) -> bool:
        """Whether the site's session cookies are accepted."""
        if self.sessions == "database":
            return True
        return self.sessions != "off" and bool(self.session_secrets)

    @property
    def accepts_users(self) -> bool:
        """Whether users can be authenticated by anything but an API key."""
        return (
            self.accepts_sessions
            or self.accepts_tokens
            or self.auth_hook is not None
            or self.proxy_user_header is not None
        )

    @property
    def accepts_tokens(self) -> bool:
        """Whether JSON Web Tokens are accepted as bearer tokens."""
        return any((self.jwt_secret, self.jwt_keys_file, self.jwt_jwks_url))


AUTHENTICATION_VARIABLES: dict[str, tuple[str, ...]] = {
    "sessions": ("OXCART_SESSIONS",),
    "auth_secret": ("AUTH_SECRET",),
    "auth_secret_1": ("AUTH_SECRET_1",),
    "auth_secret_2": ("AUTH_SECRET_2",),
    "auth_secret_3": ("AUTH_SECRET_3",),
    "nextauth_secret": ("NEXTAUTH_SECRET",),
    "old_session_secrets": ("OXCART_OLD_SESSION_SECRETS",),
    "session_cookies": ("OXCART_SESSION_COOKIES",),
    "session_user_claim": ("OXCART_SESSION_USER_CLAIM",),
    "jwt_secret": ("OXCART_JWT_SECRET",),
    "jwt_keys_file": ("OXCART_JWT_KEYS_FILE",),
    "jwt_jwks_url": ("OXCART_JWT_JWKS_URL",),
    "jwt_issuers": ("OXCART_JWT_ISSUERS",),
    "jwt_audiences": ("OXCART_JWT_AUDIENCES",),
    "jwt_algorithms": ("OXCART_JWT_ALGORITHMS",),
    "jwt_user_claim": ("OXCART_JWT_USER_CLAIM",),
    "jwt_leeway_seconds": ("OXCART_JWT_LEEWAY_SECONDS",),
    "auth_hook": ("OXCART_AUTH_HOOK",),
    "proxy_user_header": ("OXCART_PROXY_USER_HEADER",),
    "trusted_origins": ("OXCART_TRUSTED_ORIGINS",),
}
"""The environment variables of these settings; see ``oxcart.settings.ENVIRONMENT``."""

AUTHENTICATION_SECRETS = frozenset(
    {
        "auth_secret",
        "auth_secret_1",
        "auth_secret_2",
        "auth_secret_3",
        "nextauth_secret",
        "jwt_secret",
        "old_session_secrets",
    }
)
"""Settings that are never shown."""
