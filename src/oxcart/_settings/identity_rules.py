"""Rules for the settings of authentication other than API keys."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from oxcart._auth.origins import origin_of
from oxcart._settings.secret_strength import MIN_CHARS, weak_secrets
from oxcart._settings.values import Problem, mask_url

if TYPE_CHECKING:
    from oxcart.settings import Settings


_HOOK = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")
_HEADER = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,63}")
_OTHER_HEADERS = frozenset({"authorization", "cookie", "host", "x-api-key"})


def session_problems(settings: Settings) -> Iterator[Problem]:
    """How the site's sessions are read, and which pages may use them."""
    for origin in settings.trusted_origins:
        if origin_of(origin) is None:
            yield Problem(
                "OXCART_TRUSTED_ORIGINS",
                f"has {mask_url(origin)!r}, which is not an origin such as https://www.example.org",
            )
    if settings.sessions == "jwt" and not settings.session_secrets:
        yield Problem(
            "OXCART_SESSIONS",
            "is 'jwt', and the site's secret is missing: set NEXTAUTH_SECRET or AUTH_SECRET",
        )
    if settings.sessions not in ("auto", "jwt") or not settings.is_production:
        return
    by_variable = {
        "AUTH_SECRET": (settings.auth_secret,),
        "AUTH_SECRET_1": (settings.auth_secret_1,),
        "AUTH_SECRET_2": (settings.auth_secret_2,),
        "AUTH_SECRET_3": (settings.auth_secret_3,),
        "NEXTAUTH_SECRET": (settings.nextauth_secret,),
        "OXCART_OLD_SESSION_SECRETS": settings.old_session_secrets,
    }
    for variable, secrets in by_variable.items():
        wish = (
            "has a secret that {}: with it anyone can log in as any user, so in production it "
            f"needs at least {MIN_CHARS} random characters, made with: openssl rand -base64 32; "
            "or set OXCART_SESSIONS=off to refuse the site's sessions"
        )
        yield from weak_secrets(variable, [secret for secret in secrets if secret], wish)


def hook_problems(settings: Settings) -> Iterator[Problem]:
    """Authentication by the application's own code, or by a proxy."""
    hook, header = settings.auth_hook, settings.proxy_user_header
    if hook is not None and _HOOK.fullmatch(hook) is None:
        yield Problem("OXCART_AUTH_HOOK", f"is {hook!r}: expected module:attribute")
    if header is None:
        return
    if _HEADER.fullmatch(header) is None or header.lower() in _OTHER_HEADERS:
        yield Problem(
            "OXCART_PROXY_USER_HEADER",
            f"is {header!r}: expected the name of a header of its own, such as X-Forwarded-User",
        )
    if not settings.trusted_proxies:
        yield Problem(
            "OXCART_PROXY_USER_HEADER",
            "is set, and OXCART_TRUSTED_PROXIES is not: the header is believed only from there",
        )


def token_problems(settings: Settings) -> Iterator[Problem]:
    """Whose JSON Web Tokens are accepted, and how they are checked."""
    if not settings.accepts_tokens:
        if settings.jwt_issuers or settings.jwt_audiences:
            yield Problem(
                "OXCART_JWT_ISSUERS" if settings.jwt_issuers else "OXCART_JWT_AUDIENCES",
                "is set, and no key for tokens is: set OXCART_JWT_JWKS_URL, OXCART_JWT_KEYS_FILE "
                "or OXCART_JWT_SECRET",
            )
        return
    for variable, values in {
        "OXCART_JWT_ISSUERS": settings.jwt_issuers,
        "OXCART_JWT_AUDIENCES": settings.jwt_audiences,
    }.items():
        if not values:
            yield Problem(
                variable,
                "is not set: without it a token that was made for another service would be "
                "accepted here",
            )
    yield from _algorithm_problems(settings)
    yield from _key_problems(settings)


def _algorithm_problems(settings: Settings) -> Iterator[Problem]:
    from oxcart._auth.jwt import KEY_TYPES

    has_public = settings.jwt_keys_file is not None or settings.jwt_jwks_url is not None
    for algorithm in settings.jwt_algorithms:
        key_type = KEY_TYPES.get(algorithm)
        if key_type is None:
            accepted = ", ".join(KEY_TYPES)
            yield Problem("OXCART_JWT_ALGORITHMS", f"has {algorithm!r}: accepted are {accepted}")
        elif key_type == "oct" and settings.jwt_secret is None:
            yield Problem("OXCART_JWT_SECRET", f"is not set, and {algorithm} needs it")
        elif key_type != "oct" and not has_public:
            yield Problem(
                "OXCART_JWT_JWKS_URL",
                f"is not set, and {algorithm} needs public keys: set it or OXCART_JWT_KEYS_FILE",
            )


def _key_problems(settings: Settings) -> Iterator[Problem]:
    from oxcart._settings.rules import is_loopback  # which imports this module

    secret = settings.jwt_secret or ""
    if "-----BEGIN" in secret:
        yield Problem(
            "OXCART_JWT_SECRET", "holds a key in PEM: public keys belong into OXCART_JWT_KEYS_FILE"
        )
    elif secret and settings.is_production:
        yield from weak_secrets(
            "OXCART_JWT_SECRET",
            [secret],
            "has a secret that {}: with it anyone can make tokens for any user, so in production "
            f"it needs at least {MIN_CHARS} random characters",
        )
    url = urlsplit(settings.jwt_jwks_url or "")
    if url.scheme == "http" and settings.is_production and not is_loopback(url.hostname or ""):
        yield Problem(
            "OXCART_JWT_JWKS_URL",
            f"is {mask_url(url.geturl())!r}: in production it must be https, or anyone on the way "
            "can replace the keys",
        )
    if settings.jwt_keys_file is not None:
        from oxcart._auth.jwt import read_keys

        try:
            read_keys(settings.jwt_keys_file)
        except (OSError, ValueError) as error:
            yield Problem("OXCART_JWT_KEYS_FILE", f"is {str(settings.jwt_keys_file)!r}: {error}")
