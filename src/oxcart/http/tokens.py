"""JSON Web Tokens as bearer tokens, wired from the settings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from oxcart._auth.jwks import RemoteKeys
from oxcart._auth.jwt import (
    PUBLIC_ALGORITHMS,
    SECRET_ALGORITHMS,
    FixedKeys,
    TokenRules,
    TokenVerifier,
    read_keys,
    secret_key,
)

if TYPE_CHECKING:
    from oxcart._auth.jwt import KeySource
    from oxcart.settings import Settings


def open_verifier(settings: Settings) -> TokenVerifier | None:
    """Return what checks tokens, or None where none are accepted.

    Raises:
        OSError: the file of keys cannot be read.
        ValueError: it has no usable public key.
    """
    if not settings.accepts_tokens:
        return None
    sources: list[KeySource] = []
    usual: tuple[str, ...] = ()
    if settings.jwt_secret is not None:
        sources.append(FixedKeys((secret_key(settings.jwt_secret),)))
        usual += SECRET_ALGORITHMS
    if settings.jwt_keys_file is not None:
        sources.append(FixedKeys(read_keys(settings.jwt_keys_file)))
    if settings.jwt_jwks_url is not None:
        sources.append(RemoteKeys(settings.jwt_jwks_url))
    if settings.jwt_keys_file is not None or settings.jwt_jwks_url is not None:
        usual += PUBLIC_ALGORITHMS
    rules = TokenRules(
        algorithms=settings.jwt_algorithms or usual,
        issuers=settings.jwt_issuers,
        audiences=settings.jwt_audiences,
        user_claim=settings.jwt_user_claim,
        leeway_seconds=settings.jwt_leeway_seconds,
    )
    return TokenVerifier(rules, sources)
