"""JSON Web Tokens as bearer tokens: what is accepted, and attacks on what is checked."""

from __future__ import annotations

import base64
import hmac
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from joserfc import jws
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey

from oxcart._auth.identity import CredentialRejected
from oxcart._auth.jwt import (
    PUBLIC_ALGORITHMS,
    SECRET_ALGORITHMS,
    FixedKeys,
    Key,
    TokenRules,
    TokenVerifier,
    matching,
    public_keys,
    read_keys,
    secret_key,
)

NOW = 1_800_000_000
SECRET = "Zq3vXh0mT8sPw2LcYk7dRb5NfJg9uAe1"
ISSUER, AUDIENCE = "https://login.example.org", "https://api.example.org"
RSA = RSAKey.generate_key(2048, {"kid": "rsa"})
EC = ECKey.generate_key("P-256", {"kid": "ec"})
ED = OKPKey.generate_key("Ed25519", {"kid": "ed"})
OTHER_RSA = RSAKey.generate_key(2048, {"kid": "rsa"})
SHORT_RSA = rsa.generate_private_key(public_exponent=65537, key_size=1024)  # noqa: S505  # to be refused
CLAIMS = {"sub": "user-ada", "iss": ISSUER, "aud": AUDIENCE, "exp": NOW + 60, "iat": NOW}


class Lenient(jws.JWSRegistry):
    """Signs with every algorithm."""

    def get_alg(self, name: str) -> Any:
        return self.algorithms[name]


def sign(key: Key, alg: str, header: dict[str, Any] | None = None, **claims: Any) -> str:
    said = {name: value for name, value in (CLAIMS | claims).items() if value is not None}
    protected = {"alg": alg, "kid": key.kid, **(header or {})}
    protected = {name: value for name, value in protected.items() if value is not None}
    registry = Lenient(strict_check_header=False)
    return jws.serialize_compact(protected, json.dumps(said), key, registry=registry)


def encoded(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


def nested_header(depth: int) -> str:
    text = '{"alg":"RS256","kid":"rsa","x":' + "[" * depth + "]" * depth + "}"
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def jwks(*keys: Key) -> dict[str, Any]:
    return {"keys": [key.as_dict(private=False) for key in keys]}


def verifier(**rules: Any) -> TokenVerifier:
    defaults: dict[str, Any] = {
        "algorithms": (*SECRET_ALGORITHMS, *PUBLIC_ALGORITHMS),
        "issuers": ("https://other.example.org", ISSUER),
        "audiences": (AUDIENCE,),
        "leeway_seconds": 30,
    }
    sources = [FixedKeys((secret_key(SECRET),)), FixedKeys(public_keys(jwks(RSA, EC, ED)))]
    return TokenVerifier(TokenRules(**(defaults | rules)), sources, clock=lambda: NOW)


ACCEPTED: dict[str, Callable[[], str]] = {
    "HS256": lambda: sign(OctKey.import_key(SECRET), "HS256"),
    "RS256": lambda: sign(RSA, "RS256"),
    "ES256": lambda: sign(EC, "ES256"),
    "EdDSA": lambda: sign(ED, "EdDSA"),
    "Ed25519": lambda: sign(ED, "Ed25519"),
    "several audiences": lambda: sign(RSA, "RS256", aud=["https://x.example", AUDIENCE]),
    "without kid": lambda: sign(RSA, "RS256", {"kid": None}),
    "expired within the leeway": lambda: sign(RSA, "RS256", exp=NOW - 29),
    "begins within the leeway": lambda: sign(RSA, "RS256", nbf=NOW + 29, iat=NOW + 29),
    "unknown header": lambda: sign(RSA, "RS256", {"cat": "x", "typ": "at+jwt"}),
}


@pytest.mark.parametrize("case", ACCEPTED)
async def test_valid_token_names_its_user(case: str) -> None:
    identity = await verifier().identify(ACCEPTED[case]())

    assert "user-ada" == identity.user_id
    assert not identity.is_from_cookie


def with_public_key_as_secret(encoding: Encoding) -> str:
    """The classic confusion: the public key, which everybody knows, used as a shared secret."""
    content = RSA.public_key.public_bytes(encoding, PublicFormat.SubjectPublicKeyInfo)
    unsigned = f"{encoded({'alg': 'HS256', 'kid': 'rsa'})}.{encoded(CLAIMS)}"
    signature = hmac.digest(content, unsigned.encode(), "sha256")
    return f"{unsigned}.{base64.urlsafe_b64encode(signature).decode().rstrip('=')}"


def changed(token: str, part: int, value: object) -> str:
    parts = token.split(".")
    parts[part] = encoded(value)
    return ".".join(parts)


REFUSED: dict[str, tuple[str, Callable[[], str]]] = {
    "expired": ("expired", lambda: sign(RSA, "RS256", exp=NOW - 30)),
    "not valid yet": ("not valid yet", lambda: sign(RSA, "RS256", nbf=NOW + 31)),
    "issued in the future": ("not valid yet", lambda: sign(RSA, "RS256", iat=NOW + 31)),
    "without exp": ("no 'exp'", lambda: sign(RSA, "RS256", exp=None)),
    "exp as text": ("no 'exp'", lambda: sign(RSA, "RS256", exp=str(NOW + 60))),
    "exp as a truth value": ("no 'exp'", lambda: sign(RSA, "RS256", exp=True)),
    "other issuer": ("issuer", lambda: sign(RSA, "RS256", iss="https://evil.example")),
    "issuer in a list": ("issuer", lambda: sign(RSA, "RS256", iss=[ISSUER])),
    "without issuer": ("issuer", lambda: sign(RSA, "RS256", iss=None)),
    "other audience": ("audience", lambda: sign(RSA, "RS256", aud="https://x.example")),
    "without audience": ("audience", lambda: sign(RSA, "RS256", aud=None)),
    "without user": ("'sub'", lambda: sign(RSA, "RS256", sub=None)),
    "user as a number": ("'sub'", lambda: sign(RSA, "RS256", sub=7)),
    "alg none": ("algorithm", lambda: f"{encoded({'alg': 'none'})}.{encoded(CLAIMS)}."),
    "alg None, signed": ("algorithm", lambda: changed(sign(RSA, "RS256"), 0, {"alg": "None"})),
    "alg missing": ("not a signed", lambda: changed(sign(RSA, "RS256"), 0, {"kid": "rsa"})),
    "alg that is not listed": ("algorithm", lambda: sign(RSA, "RS512")),
    "public key in PEM as secret": (
        "signature",
        lambda: with_public_key_as_secret(Encoding.PEM),
    ),
    "public key in DER as secret": (
        "signature",
        lambda: with_public_key_as_secret(Encoding.DER),
    ),
    "empty secret": ("signature", lambda: changed(sign(OctKey.import_key(SECRET), "HS256"), 1, {})),
    "other secret": ("signature", lambda: sign(OctKey.import_key(SECRET[:-1]), "HS256")),
    "other key of the same id": ("signature", lambda: sign(OTHER_RSA, "RS256")),
    "unknown key": ("no key", lambda: sign(RSA, "RS256", {"kid": "new"})),
    "id of a key of another type": ("no key", lambda: sign(RSA, "RS256", {"kid": "ec"})),
    "claims changed": (
        "signature",
        lambda: changed(sign(RSA, "RS256"), 1, CLAIMS | {"sub": "user-bob"}),
    ),
    "header changed": (
        "signature",
        lambda: changed(sign(ED, "EdDSA"), 0, {"alg": "Ed25519", "kid": "ed"}),
    ),
    "own key in the header": (
        "signature",
        lambda: sign(OTHER_RSA, "RS256", {"jwk": OTHER_RSA.as_dict(private=False)}),
    ),
    "unknown critical header": (
        "signature",
        lambda: sign(RSA, "RS256").replace(
            sign(RSA, "RS256").split(".")[0], encoded({"alg": "RS256", "kid": "rsa", "crit": ["x"]})
        ),
    ),
    "claims that are no object": (
        "signature",
        lambda: jws.serialize_compact({"alg": "RS256", "kid": "rsa"}, "[1]", RSA),
    ),
    "not base64": ("not a signed", lambda: "eyJ*.*.*"),
    "not ASCII": ("not a signed", lambda: "eyJü.ü.ü"),
    "header that is a number": ("not a signed", lambda: f"{encoded(1)}.x.y"),
    "header that is a text": ("not a signed", lambda: f"{encoded('alg')}.e30.AAAA"),
    "nested too deep": ("signed|signature", lambda: f"{nested_header(1400)}.e30.AAAA"),
    "too long": ("characters", lambda: sign(RSA, "RS256", padding="p" * 20_000)),
}


@pytest.mark.parametrize("case", REFUSED)
async def test_invalid_token_is_refused_by_its_reason(case: str) -> None:
    reason, make = REFUSED[case]

    with pytest.raises(CredentialRejected, match=reason):
        await verifier().identify(make())


async def test_email_counts_as_the_user_only_when_it_is_verified() -> None:
    by_email = verifier(user_claim="email")
    verified = sign(RSA, "RS256", email="ada@example.org", email_verified=True)
    unverified = sign(RSA, "RS256", email="ada@example.org", email_verified="true")

    identity = await by_email.identify(verified)

    assert (None, "ada@example.org") == (identity.user_id, identity.email)
    with pytest.raises(CredentialRejected, match="not verified"):
        await by_email.identify(unverified)


def test_keys_that_cannot_check_signatures_safely_are_left_out() -> None:
    modulus = SHORT_RSA.public_key().public_numbers().n.to_bytes(128, "big")
    document = jwks(RSA)
    document["keys"] += [
        OctKey.import_key(SECRET).as_dict(),
        EC.as_dict(private=False) | {"use": "enc"},
        EC.as_dict(private=False) | {"key_ops": ["deriveKey"]},
        {"kty": "AKP", "alg": "ML-DSA-44", "pub": "x"},
        {"kty": "RSA", "n": "!", "e": "AQAB"},
        {"kty": "RSA", "n": base64.urlsafe_b64encode(modulus).decode().rstrip("="), "e": "AQAB"},
        "text",
    ]

    assert ["rsa"] == [key.kid for key in public_keys(document)]
    nothing: object
    for nothing in ({"keys": []}, {"keys": {}}, [], None, {"keys": [{"kty": "oct", "k": "eA"}]}):
        with pytest.raises(ValueError, match="JWK Set"):
            public_keys(nothing)


def test_token_without_a_key_id_fits_only_where_there_is_no_choice() -> None:
    keys = public_keys(jwks(RSA, OTHER_RSA, EC))

    assert [] == list(matching(keys, "RSA", None))
    assert ["ec"] == [key.kid for key in matching(keys, "EC", None)]


def test_keys_are_read_from_files_of_each_form(tmp_path: Path) -> None:
    pem = "".join(key.as_pem(private=False).decode() for key in (RSA, EC, ED))
    files = {"keys.pem": pem, "set.json": json.dumps(jwks(RSA, EC, ED))}
    files["key.json"] = json.dumps(RSA.as_dict(private=False))
    for name, content in files.items():
        (tmp_path / name).write_text(content)

    types = {name: [key.key_type for key in read_keys(tmp_path / name)] for name in files}

    assert {
        "keys.pem": ["RSA", "EC", "OKP"],
        "set.json": ["RSA", "EC", "OKP"],
        "key.json": ["RSA"],
    } == types
    (tmp_path / "empty.pem").write_text("-----BEGIN NOTHING-----\n")
    with pytest.raises(ValueError, match="PEM"):
        read_keys(tmp_path / "empty.pem")


async def test_clock_is_the_systems_unless_another_is_given() -> None:
    rules = TokenRules(algorithms=("RS256",), issuers=(ISSUER,), audiences=(AUDIENCE,))
    real = TokenVerifier(rules, [FixedKeys(public_keys(jwks(RSA)))])

    now = int(time.time())
    assert "user-ada" == (await real.identify(sign(RSA, "RS256", exp=now + 5, iat=now))).user_id
