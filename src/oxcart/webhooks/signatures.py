"""Signatures of the Standard Webhooks specification: secrets, signing, verifying.

A message is signed as ``<webhook-id>.<webhook-timestamp>.<body>``. ``webhook-signature`` holds one
signature for each secret in use, separated by blanks, so that a secret can be rotated without
losing a message: the sender signs with both until the receiver has the new one.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from oxcart.errors import ConfigError
from oxcart.webhooks.errors import SignatureInvalid

ID_HEADER = "webhook-id"
TIMESTAMP_HEADER = "webhook-timestamp"
SIGNATURE_HEADER = "webhook-signature"
SECRET_PREFIX = "whsec_"  # noqa: S105  # a prefix, not a secret
PRIVATE_PREFIX = "whsk_"
PUBLIC_PREFIX = "whpk_"
MIN_KEY_BYTES = 24
MAX_KEY_BYTES = 64
TOLERANCE_SECONDS = 300
"""How far a message's timestamp may be from the receiver's clock."""
MAX_SIGNATURES = 20
"""More signatures than this in one header are not looked at."""
_NEW_KEY_BYTES = 32
_VERSION = "v1"
_ID = re.compile(r"[!-~]{1,200}")
_TIMESTAMP = re.compile(r"[0-9]{1,12}")


@dataclass(frozen=True, slots=True)
class SigningSecret:
    """A shared secret, ``whsec_`` and 24 to 64 random bytes in base64.

    Attributes:
        key: the bytes.
    """

    key: bytes = field(repr=False)

    @classmethod
    def parse(cls, text: str) -> SigningSecret:
        """Read a secret.

        Raises:
            ConfigError: it is not a secret; the text does not repeat it.
        """
        encoded = text.strip().removeprefix(SECRET_PREFIX)
        if encoded == text.strip():
            raise ConfigError(f"a webhook secret must begin with {SECRET_PREFIX}")
        try:
            key = base64.b64decode(encoded, validate=True)
        except (binascii.Error, ValueError) as error:
            raise ConfigError(f"a webhook secret must be base64 after {SECRET_PREFIX}") from error
        if not MIN_KEY_BYTES <= len(key) <= MAX_KEY_BYTES:
            raise ConfigError(
                f"a webhook secret has {len(key)} bytes; it must have {MIN_KEY_BYTES} to "
                f"{MAX_KEY_BYTES}"
            )
        return cls(key)

    @classmethod
    def generate(cls) -> SigningSecret:
        """Return a new random secret."""
        return cls(secrets.token_bytes(_NEW_KEY_BYTES))

    def reveal(self) -> str:
        """Return the secret as text, to be handed to the other side."""
        return SECRET_PREFIX + base64.b64encode(self.key).decode()

    def sign(self, message_id: str, timestamp: int, body: bytes) -> str:
        """Return one signature as it stands in the header."""
        content = signed_content(message_id, timestamp, body)
        digest = hmac.digest(self.key, content, hashlib.sha256)
        return f"{_VERSION},{base64.b64encode(digest).decode()}"

    def accepts(self, head: SignedHead, body: bytes) -> bool:
        """Whether one of the signatures of a message was made with this secret."""
        expected = self.sign(head.message_id, head.timestamp, body).encode()
        is_valid = False
        for given in head.signatures:  # all of them, so that time says nothing about which
            is_valid |= hmac.compare_digest(expected, given.encode("utf-8", "replace"))
        return is_valid


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedHead:
    """The three headers of a signed message.

    Attributes:
        message_id: the message's id: the same whenever the message is sent again.
        timestamp: seconds since 1970, of this attempt.
        signatures: the signatures as they stand in the header.
    """

    message_id: str
    timestamp: int
    signatures: tuple[str, ...]


class Signer(Protocol):
    """Makes signatures: a shared secret, or a private key (``whsk_``)."""

    def sign(self, message_id: str, timestamp: int, body: bytes) -> str:
        """Return one signature as it stands in the header."""
        ...


class Verifier(Protocol):
    """Checks signatures: a shared secret, or a public key (``whpk_``)."""

    def accepts(self, head: SignedHead, body: bytes) -> bool:
        """Whether one of the signatures of a message was made with its secret or private key."""
        ...


def signed_content(message_id: str, timestamp: int, body: bytes) -> bytes:
    """Return the bytes that are signed."""
    return b"%s.%d.%s" % (message_id.encode(), timestamp, body)


def parse_signer(text: str) -> Signer:
    """Read a shared secret (``whsec_…``) or a private key (``whsk_…``).

    Raises:
        ConfigError: it is neither; the text does not repeat it.
    """
    if text.strip().startswith(PRIVATE_PREFIX):
        from oxcart.webhooks.key_pairs import PrivateKey

        return PrivateKey.parse(text)
    return SigningSecret.parse(text)


def parse_verifier(text: str) -> Verifier:
    """Read a shared secret (``whsec_…``) or a public key (``whpk_…``).

    Raises:
        ConfigError: it is neither; the text does not repeat it.
    """
    if text.strip().startswith(PUBLIC_PREFIX):
        from oxcart.webhooks.key_pairs import PublicKey

        return PublicKey.parse(text)
    return SigningSecret.parse(text)


def signed_headers(
    secrets_in_use: Sequence[Signer], message_id: str, timestamp: int, body: bytes
) -> dict[str, str]:
    """Return the headers that sign a message, one signature for each secret."""
    signatures = (secret.sign(message_id, timestamp, body) for secret in secrets_in_use)
    return {
        ID_HEADER: message_id,
        TIMESTAMP_HEADER: str(timestamp),
        SIGNATURE_HEADER: " ".join(signatures),
    }


def read_head(
    headers: Mapping[str, str], *, now: float, tolerance_seconds: float = TOLERANCE_SECONDS
) -> SignedHead:
    """Read the headers of a signed message and check its age, before the body is read.

    Args:
        headers: the request's headers; names in lower case, or looked up in any case.
        now: seconds since 1970.
        tolerance_seconds: how far the timestamp may be from ``now``.

    Raises:
        SignatureInvalid: a header is missing or malformed, or the message is too old or too new.
    """
    message_id = headers.get(ID_HEADER, "")
    if not _ID.fullmatch(message_id):
        raise SignatureInvalid(f"{ID_HEADER} is missing or is not 1 to 200 printable characters")
    timestamp = headers.get(TIMESTAMP_HEADER, "")
    if not _TIMESTAMP.fullmatch(timestamp):
        raise SignatureInvalid(f"{TIMESTAMP_HEADER} is missing or is not a number of seconds")
    if abs(now - int(timestamp)) > tolerance_seconds:
        raise SignatureInvalid(
            f"{TIMESTAMP_HEADER} is more than {tolerance_seconds:.0f} s from this server's clock"
        )
    signatures = tuple(headers.get(SIGNATURE_HEADER, "").split()[:MAX_SIGNATURES])
    if not signatures:
        raise SignatureInvalid(f"{SIGNATURE_HEADER} is missing")
    return SignedHead(message_id=message_id, timestamp=int(timestamp), signatures=signatures)


def check_signature(secrets_in_use: Sequence[Verifier], head: SignedHead, body: bytes) -> None:
    """Accept a message that one of the secrets signed.

    Raises:
        SignatureInvalid: none of the secrets made any of the signatures.
    """
    if not any(secret.accepts(head, body) for secret in secrets_in_use):
        raise SignatureInvalid(f"{SIGNATURE_HEADER} was not made with any of the secrets in use")
