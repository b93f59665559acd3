"""Counting and hashing of bytes on their way."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from oxcart.exports.writers.protocol import Sink


class HashingSink:
    """Hands bytes on, and knows their number and SHA-256.

    Args:
        target: where the bytes go.
    """

    def __init__(self, target: Sink) -> None:
        self._target = target
        self._hash = hashlib.sha256()
        self.size_bytes = 0

    @property
    def sha256(self) -> str:
        """The hash of all bytes so far, in hexadecimal."""
        return self._hash.hexdigest()

    def write(self, data: bytes, /) -> int:
        """Hand the bytes on."""
        self._target.write(data)
        self._hash.update(data)
        self.size_bytes += len(data)
        return len(data)
