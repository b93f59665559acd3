"""JSON Web Tokens as bearer tokens: signature, issuer, audience and times.

Each signature algorithm takes keys of one type: ``HS…`` the shared secret alone, all others public
keys alone. So a public key cannot pass as a shared secret, whatever ``alg`` a token names. A token
says nothing about where its key comes from: ``jku``, ``x5u`` and ``jwk`` in its header are ignored.
"""

from __future__ import annotations

import json
import time
import warnings
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeGuard

from joserfc import jws
from joserfc.errors import JoseError, SecurityWarning, UnsupportedAlgorithmError
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey, import_key

from oxcart._auth.identity import CredentialRejected, Identity

if TYPE_CHECKING:
    from joserfc._rfc7515.model import JWSAlgModel

Key = OctKey | RSAKey | ECKey | OKPKey

KEY_TYPES: Mapping[str, str] = {
    **dict.fromkeys(("HS256", "HS384", "HS512"), "oct"),
    **dict.fromkeys(("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"), "RSA"),
    **dict.fromkeys(("ES256", "ES384", "ES512"), "EC"),
    **dict.fromkeys(("EdDSA", "Ed25519"), "OKP"),
}
"""The type of the keys of each algorithm that can be accepted."""
SECRET_ALGORITHMS = ("HS256",)
PUBLIC_ALGORITHMS = ("RS256", "ES256", "EdDSA", "Ed25519")
"""What is accepted with a shared secret, and with public keys, unless a setting says otherwise."""
MIN_RSA_BITS = 2048
MAX_TOKEN_CHARS = 16_384
_PARTS = 3
_NOT_A_TOKEN = (JoseError, ValueError, KeyError, TypeError, AttributeError, RecursionError)
"""What the library raises for a header that is malformed, or nested too deeply."""


class KeySource(Protocol):
    """A source of keys."""

    async def find(self, key_type: str, key_id: str | None) -> Sequence[Key]:
        """Return the keys of a type that may have made a signature.

        Args:
            key_type: ``oct``, ``RSA``, ``EC`` or ``OKP``.
            key_id: the ``kid`` that the token names, if it names one.

        Raises:
            KeysUnavailable: the keys cannot be had at the moment.
        """
        ...


class KeysUnavailable(Exception):
    """The keys that tokens are checked with cannot be had at the moment."""


@dataclass(frozen=True, slots=True)
class FixedKeys:
    """Keys that are known from the start."""

    keys: tuple[Key, ...]

    async def find(self, key_type: str, key_id: str | None) -> Sequence[Key]:
        """Return the keys of a type and id; see ``KeySource``."""
        return matching(self.keys, key_type, key_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRules:
    """What a token must say.

    Attributes:
        algorithms: the algorithms that are accepted.
        issuers: one of these is the token's ``iss``.
        audiences: one of these is in the token's ``aud``.
        user_claim: the claim that holds the user's id, or ``email``.
        leeway_seconds: how far the issuer's clock and this one may differ.
    """

    algorithms: tuple[str, ...]
    issuers: tuple[str, ...]
    audiences: tuple[str, ...]
    user_claim: str = "sub"
    leeway_seconds: float = 30


class TokenVerifier:
    """Checks tokens.

    Args:
        rules: what a token must say.
        sources: where keys are found; the first that has a fitting one counts.
        clock: returns the time in seconds since the epoch.
    """

    def __init__(
        self,
        rules: TokenRules,
        sources: Sequence[KeySource],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._rules = rules
        self._sources = sources
        self._clock = clock
        self._registry = _Registry(algorithms=rules.algorithms, strict_check_header=False)

    async def identify(self, token: str) -> Identity:
        """Return the user that a token was made for.

        Raises:
            CredentialRejected: the token is not valid, with the reason.
            KeysUnavailable: the keys cannot be had at the moment.
        """
        algorithm, key_id = self._header(token)
        for key in await self._find_keys(KEY_TYPES[algorithm], key_id):
            claims = self._verified(token, key, algorithm)
            if claims is not None:
                self._check(claims)
                return self._identity(claims)
        raise CredentialRejected("the signature of the token is not valid")

    def _header(self, token: str) -> tuple[str, str | None]:
        if len(token) > MAX_TOKEN_CHARS:
            raise CredentialRejected(f"the token has more than {MAX_TOKEN_CHARS} characters")
        try:
            header = jws.extract_compact(token.encode(), registry=self._registry).headers()
        except _NOT_A_TOKEN as error:
            raise CredentialRejected("the token is not a signed JSON Web Token") from error
        if not isinstance(header, dict):
            raise CredentialRejected("the token is not a signed JSON Web Token")
        algorithm, key_id = header.get("alg"), header.get("kid")
        if algorithm not in self._rules.algorithms or algorithm not in KEY_TYPES:
            accepted = ", ".join(self._rules.algorithms)
            raise CredentialRejected(f"the algorithm of the token is not one of {accepted}")
        return algorithm, key_id if isinstance(key_id, str) else None

    async def _find_keys(self, key_type: str, key_id: str | None) -> Sequence[Key]:
        for source in self._sources:
            found = await source.find(key_type, key_id)
            if found:
                return found
        raise CredentialRejected("no key with the id and the type of the token is known")

    def _verified(self, token: str, key: Key, algorithm: str) -> dict[str, Any] | None:
        try:
            signed = jws.deserialize_compact(
                token, key, algorithms=[algorithm], registry=self._registry
            )
            claims = json.loads(signed.payload)
        except (JoseError, ValueError, KeyError, TypeError):
            return None
        return claims if isinstance(claims, dict) else None

    def _check(self, claims: Mapping[str, Any]) -> None:
        rules, now = self._rules, self._clock()
        expires, begins, issued = claims.get("exp"), claims.get("nbf", 0), claims.get("iat", 0)
        if not (_is_time(expires) and _is_time(begins) and _is_time(issued)):
            raise CredentialRejected("the token has no 'exp', or a time that is not a number")
        if expires + rules.leeway_seconds <= now:
            raise CredentialRejected("the token has expired")
        if max(begins, issued) - rules.leeway_seconds > now:
            raise CredentialRejected("the token is not valid yet")
        if claims.get("iss") not in rules.issuers:
            raise CredentialRejected("the issuer of the token is not accepted")
        audience = claims.get("aud")
        named = audience if isinstance(audience, list) else [audience]
        if not any(item in rules.audiences for item in named):
            raise CredentialRejected("the token is for another audience")

    def _identity(self, claims: Mapping[str, Any]) -> Identity:
        name = self._rules.user_claim
        value = claims.get(name)
        if not isinstance(value, str) or not value:
            raise CredentialRejected(f"the token has no claim {name!r}")
        if name != "email":
            return Identity(user_id=value, is_from_cookie=False)
        if claims.get("email_verified") is not True:
            raise CredentialRejected("the e-mail address of the token is not verified")
        return Identity(email=value, is_from_cookie=False)


def is_signed_token(text: str) -> bool:
    """Whether a bearer token has the form of a signed JWT."""
    return text.count(".") == _PARTS - 1 and text.startswith("eyJ")


def matching(keys: Collection[Key], key_type: str, key_id: str | None) -> Sequence[Key]:
    """Return the keys of a type, and of an id where one is named.

    A key without an id fits any; a token without an id fits only where there is no choice.
    """
    fitting = [key for key in keys if key.key_type == key_type]
    if key_id is None:
        return fitting if len(fitting) == 1 else []
    named = [key for key in fitting if key.kid == key_id]
    return named or [key for key in fitting if key.kid is None]


def secret_key(secret: str) -> Key:
    """Return the key of a shared secret."""
    with _without_warnings():
        return OctKey.import_key(secret)


def public_keys(document: object) -> tuple[Key, ...]:
    """Return the usable public keys of a JWK Set, or of a single JWK.

    Left out are shared secrets, keys for encryption, keys of unknown types and short RSA keys.

    Raises:
        ValueError: there is none.
    """
    if isinstance(document, dict) and "kty" in document:
        document = {"keys": [document]}
    items = document.get("keys") if isinstance(document, dict) else None
    found = (_public_key(item) for item in items) if isinstance(items, list) else ()
    keys = tuple(key for key in found if key is not None)
    if not keys:
        raise ValueError("it is not a JWK Set with a usable public key")
    return keys


def read_keys(path: Path) -> tuple[Key, ...]:
    """Return the public keys of a file: a JWK Set, a JWK, or PEM.

    Raises:
        OSError: the file cannot be read.
        ValueError: it holds no usable public key.
    """
    text = path.read_text(encoding="utf-8")
    if "-----BEGIN" not in text:
        return public_keys(json.loads(text))
    keys = tuple(key for block in _pem_blocks(text) if (key := _pem_key(block)) is not None)
    if not keys:
        raise ValueError("it is not PEM with a usable public key")
    return keys


def _pem_blocks(text: str) -> list[str]:
    marker = "-----BEGIN "
    return [marker + rest for rest in text.split(marker)[1:]]


def _pem_key(block: str) -> Key | None:
    for kind in ("RSA", "EC", "OKP"):
        try:
            return _imported(block, kind)
        except (JoseError, ValueError, TypeError):
            continue
    return None


def _public_key(item: object) -> Key | None:
    if not isinstance(item, dict) or item.get("kty") not in ("RSA", "EC", "OKP"):
        return None
    if item.get("use", "sig") != "sig" or "verify" not in item.get("key_ops", ["verify"]):
        return None
    try:
        return _imported(item)
    except (JoseError, ValueError, KeyError, TypeError):
        return None


def _imported(*given: Any) -> Key | None:
    with _without_warnings():
        key: Key = import_key(*given)
    if isinstance(key, RSAKey) and key.public_key.key_size < MIN_RSA_BITS:
        return None
    return key


@contextmanager
def _without_warnings() -> Iterator[None]:
    """The library warns of keys that are too short; here those are refused, or a setting's rule."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SecurityWarning)
        yield


def _is_time(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


class _Registry(jws.JWSRegistry):
    """Gives the accepted algorithms, without the warning that ``EdDSA`` has a newer name."""

    max_header_length = 4096  # certificates of the key may stand in it

    def get_alg(self, name: str) -> JWSAlgModel:
        if name not in (self.allowed or ()) or name not in self.algorithms:
            raise UnsupportedAlgorithmError(f"Algorithm of {name!r} is not allowed")
        return self.algorithms[name]
