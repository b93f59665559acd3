"""Asymmetric signatures of the Standard Webhooks specification (``v1a``): Ed25519 key pairs."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from oxcart.errors import ConfigError
from oxcart.webhooks.signatures import PRIVATE_PREFIX, PUBLIC_PREFIX, signed_content

if TYPE_CHECKING:
    from oxcart.webhooks.signatures import SignedHead

try:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import (
        Ed25519PrivateKey,
        Ed25519PublicKey,
    )
except ImportError as error:  # pragma: no cover  # an installation without the extra
    raise ConfigError(
        "keys of webhooks need the package cryptography: pip install 'oxcart[http]'"
    ) from error

KEY_BYTES = 32
_SIGNATURE_BYTES = 64
_VERSION = "v1a"


@dataclass(frozen=True, slots=True)
class PublicKey:
    """Verifies signatures of a private key."""

    key: Ed25519PublicKey = field(repr=False)

    @classmethod
    def parse(cls, text: str) -> PublicKey:
        """Read a public key, ``whpk_`` and 32 bytes in base64.

        Raises:
            ConfigError: it is not one.
        """
        raw = _decoded(text, PUBLIC_PREFIX)
        if len(raw) != KEY_BYTES:
            raise ConfigError(f"a public key of webhooks has {len(raw)} bytes; it must have 32")
        return cls(Ed25519PublicKey.from_public_bytes(raw))

    def reveal(self) -> str:
        """Return the key as text."""
        return PUBLIC_PREFIX + base64.b64encode(self.key.public_bytes_raw()).decode()

    def accepts(self, head: SignedHead, body: bytes) -> bool:
        """Whether one of the signatures of a message was made with the private key."""
        content = signed_content(head.message_id, head.timestamp, body)
        return any(self._is_valid(given, content) for given in head.signatures)

    def _is_valid(self, given: str, content: bytes) -> bool:
        version, _, encoded = given.partition(",")
        if version != _VERSION:
            return False
        try:
            signature = base64.b64decode(encoded, validate=True)
            self.key.verify(signature, content)
        except (binascii.Error, ValueError, InvalidSignature):
            return False
        return len(signature) == _SIGNATURE_BYTES


@dataclass(frozen=True, slots=True)
class PrivateKey:
    """Signs messages so that receivers verify them without being able to sign."""

    key: Ed25519PrivateKey = field(repr=False)

    @classmethod
    def parse(cls, text: str) -> PrivateKey:
        """Read a private key, ``whsk_`` and 32 bytes in base64, or 64 with the public key behind.

        Raises:
            ConfigError: it is not one, or the public key behind it is another's; the text does not
                repeat it.
        """
        raw = _decoded(text, PRIVATE_PREFIX)
        if len(raw) not in (KEY_BYTES, 2 * KEY_BYTES):
            raise ConfigError(
                f"a private key of webhooks has {len(raw)} bytes; it must have 32 or 64"
            )
        key = cls(Ed25519PrivateKey.from_private_bytes(raw[:KEY_BYTES]))
        if raw[KEY_BYTES:] not in (b"", key.public_key.key.public_bytes_raw()):
            raise ConfigError("the second half of a private key of webhooks is not its public key")
        return key

    @classmethod
    def generate(cls) -> PrivateKey:
        """Return a new random key."""
        return cls(Ed25519PrivateKey.generate())

    @property
    def public_key(self) -> PublicKey:
        """The key that verifies what this one signs."""
        return PublicKey(self.key.public_key())

    def reveal(self) -> str:
        """Return the key as text, with its public key behind it."""
        raw = self.key.private_bytes_raw() + self.key.public_key().public_bytes_raw()
        return PRIVATE_PREFIX + base64.b64encode(raw).decode()

    def sign(self, message_id: str, timestamp: int, body: bytes) -> str:
        """Return one signature as it stands in the header."""
        signature = self.key.sign(signed_content(message_id, timestamp, body))
        return f"{_VERSION},{base64.b64encode(signature).decode()}"


def _decoded(text: str, prefix: str) -> bytes:
    encoded = text.strip().removeprefix(prefix)
    try:
        return base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError) as error:
        raise ConfigError(f"a key of webhooks must be base64 after {prefix}") from error
