"""Session tokens of NextAuth v4 and Auth.js v5: JSON Web Tokens, encrypted with a derived key.

=========  =============  =======================================================  ================
version    ``enc``        HKDF-SHA256 ``info``                                     HKDF ``salt``
=========  =============  =======================================================  ================
4          A256GCM        ``NextAuth.js Generated Encryption Key``                 empty
5          A256CBC-HS512  ``Auth.js Generated Encryption Key (<cookie's name>)``   cookie's name
=========  =============  =======================================================  ================

The input of HKDF is the site's secret. The token is encrypted with the derived key itself
(``alg`` is ``dir``). A token names its own ``enc``, and each ``enc`` has a key of its own, so that
a token of one version cannot pass as one of the other.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeGuard

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from joserfc import jwe
from joserfc.errors import JoseError
from joserfc.jwk import OctKey

from oxcart._auth.identity import CredentialRejected

if TYPE_CHECKING:
    from joserfc.jwk import GuestProtocol

COOKIE_NAMES = (
    "__Secure-authjs.session-token",
    "__Secure-next-auth.session-token",
    "authjs.session-token",
    "next-auth.session-token",
)
"""The default names; one with ``__Secure-`` counts before one without, which any page of the
domain that is not served by HTTPS can set."""
LEEWAY_SECONDS = 15
"""How far the clocks of the site and of this server may differ; NextAuth's own value."""
_ALGORITHMS = ("dir", "A256GCM", "A256CBC-HS512")
_PARTS = 5


def is_encrypted(token: str) -> bool:
    """Whether a session token has the form of an encrypted JWT, rather than of a database key."""
    return token.count(".") == _PARTS - 1 and token.startswith("eyJ")


class SessionTokens:
    """Decrypts session tokens.

    Args:
        secrets: the site's secrets, ``NEXTAUTH_SECRET`` or ``AUTH_SECRET``; a token made with any
            of them is accepted, so that a secret can be replaced while users stay logged in.
        clock: returns the time in seconds since the epoch.
    """

    def __init__(self, secrets: Sequence[str], clock: Callable[[], float] = time.time) -> None:
        self._secrets = tuple(secret.encode() for secret in secrets)
        self._clock = clock
        self._registry = jwe.JWERegistry(algorithms=_ALGORITHMS)

    def claims(self, token: str, cookie_name: str) -> Mapping[str, Any]:
        """Return the claims of a valid token.

        Args:
            token: the token, its chunks joined.
            cookie_name: the name of its cookie, without the number of a chunk.

        Raises:
            CredentialRejected: none of the secrets decrypts it, it was changed, or it has expired.
        """
        for secret in self._secrets:
            content = self._decrypt(token, secret, cookie_name)
            if content is not None:
                return self._checked(content)
        raise CredentialRejected(
            "the session cookie was not made with the secret of this site, or was changed"
        )

    def _decrypt(self, token: str, secret: bytes, cookie_name: str) -> bytes | None:
        def find_key(guest: GuestProtocol) -> OctKey:
            if guest.headers().get("enc") == "A256GCM":
                return _key_of_version_4(secret)
            return _key_of_version_5(secret, cookie_name)

        try:
            opened = jwe.decrypt_compact(
                token, find_key, algorithms=_ALGORITHMS, registry=self._registry
            )
        # ValueError and KeyError: parts that are not base64, a header without "enc".
        except (JoseError, ValueError, KeyError, TypeError):
            return None
        return opened.plaintext

    def _checked(self, content: bytes) -> Mapping[str, Any]:
        try:
            claims = json.loads(content)
        except ValueError:
            claims = None
        if not isinstance(claims, dict):
            raise CredentialRejected("the session token holds no claims")
        now = self._clock()
        expires, begins = claims.get("exp"), claims.get("nbf", 0)
        if not _is_time(expires) or expires + LEEWAY_SECONDS <= now:
            raise CredentialRejected("the session has expired: log in again")
        if not _is_time(begins) or begins - LEEWAY_SECONDS > now:
            raise CredentialRejected("the session is not valid yet")
        return claims


def _is_time(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


@lru_cache(maxsize=64)
def _key_of_version_4(secret: bytes) -> OctKey:
    return _derived(secret, salt=b"", info=b"NextAuth.js Generated Encryption Key", length=32)


@lru_cache(maxsize=64)
def _key_of_version_5(secret: bytes, cookie_name: str) -> OctKey:
    info = f"Auth.js Generated Encryption Key ({cookie_name})".encode()
    return _derived(secret, salt=cookie_name.encode(), info=info, length=64)


def _derived(secret: bytes, *, salt: bytes, info: bytes, length: int) -> OctKey:
    key = HKDF(algorithm=SHA256(), length=length, salt=salt, info=info).derive(secret)
    return OctKey.import_key(key)
