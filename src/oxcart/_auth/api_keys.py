"""The form of API keys, their scopes, and their hashes.

A key reads ``oxc_<id>_<secret>``. The id finds the key's row; it is not secret and is shown in
lists. The secret has 256 bits, so that a plain SHA-256 of the key cannot be reversed by guessing,
and only that hash is stored. The prefix lets scanners recognise a key that was published.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import string
from dataclasses import dataclass
from enum import StrEnum

PREFIX = "oxc_"
_ID_CHARS = 12
_SECRET_CHARS = 43
_ID_ALPHABET = string.ascii_lowercase + string.digits
_SECRET_ALPHABET = string.ascii_letters + string.digits
_KEY = re.compile(rf"{PREFIX}([a-z0-9]{{{_ID_CHARS}}})_[A-Za-z0-9]{{{_SECRET_CHARS}}}\Z")


class Scope(StrEnum):
    """A right that a key can have."""

    OPERATOR = "operator"
    """Everything."""
    SERVICE = "service"
    """Acts for the user that ``X-Oxcart-User`` names, and reports events of jobs."""
    METRICS = "metrics"
    """Reads ``GET /metrics``."""
    BURST = "burst"
    """Runs waiting jobs by ``/api/worker/burst``, as timers do."""
    WEBHOOK = "webhook"
    """Reports events of jobs to ``POST /api/queues/webhook``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewKey:
    """A key that was just made.

    Attributes:
        id: its public part.
        text: the key itself, to be shown once and never stored.
        hash: the part that is stored.
    """

    id: str
    text: str
    hash: str


def make_key() -> NewKey:
    """Make a key."""
    key_id = _random(_ID_ALPHABET, _ID_CHARS)
    text = f"{PREFIX}{key_id}_{_random(_SECRET_ALPHABET, _SECRET_CHARS)}"
    return NewKey(id=key_id, text=text, hash=hash_key(text))


def id_of(text: str) -> str | None:
    """Return the id in a key, or None if the text does not have the form of a key."""
    found = _KEY.match(text)
    return found[1] if found else None


def hash_key(text: str) -> str:
    """Return the hash of a key, in hexadecimal."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _random(alphabet: str, length: int) -> str:
    return "".join(secrets.choice(alphabet) for _ in range(length))
