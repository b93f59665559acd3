"""Names of secrets: which keys are secret, and how a secret's name is written in a text.

Logs, error reports and job status share these rules.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Collection

REDACTED = "[redacted]"

ALWAYS_SECRET = frozenset(
    {
        "token",
        "resetCode",
        "verificationToken",
        "accessToken",
        "refreshToken",
        "password",
        "passwd",
        "pwd",
        "passphrase",
        "passcode",
        "credential",
        "credentials",
        "secret",
        "apiKey",
        "privateKey",
        "secretKey",
        "signingKey",
        "secretAccessKey",
        "authorization",
        "cookie",
    }
)
"""A key that ends in one of these is secret; case and punctuation do not matter."""

SECRET_WORDS = frozenset({"pass"})
"""Secret as the last word of a key: ``smtp_pass``, not ``bypass``."""

SECRET_KEYS = frozenset({"session", "sessionId"})
"""Secret as the whole key."""

ONLY_IN_LOGS = frozenset({"signature"})
"""Secret in logs and error reports alone: a job's result may be a signed link."""

_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_SEPARATORS = re.compile(r"[^A-Za-z0-9]+")


class SecretNames:
    """Decides whether a key names a secret.

    Args:
        names: names beside the usual ones, in any case and punctuation.
    """

    def __init__(self, names: Collection[str] = ()) -> None:
        endings = {plain(name) for name in (*ALWAYS_SECRET, *names)} - {""}
        self._endings = tuple(sorted(endings))
        self.is_secret = functools.lru_cache(maxsize=4_096)(self._is_secret)

    def _is_secret(self, name: str) -> bool:
        key = plain(name)
        if key.endswith(self._endings) or key in _WHOLE_KEYS:
            return True
        return words_of(name)[-1].lower() in SECRET_WORDS


@functools.lru_cache(maxsize=256)
def names_with(names: frozenset[str]) -> SecretNames:
    """The rules with some names beside the usual ones; made once for each set."""
    return SecretNames(names)


def plain(name: str) -> str:
    """A name without case and punctuation."""
    return _SEPARATORS.sub("", name).lower()


def words_of(name: str) -> list[str]:
    """The words of a name, in order: ``resetCode`` and ``reset-code`` have two."""
    return [word for word in _SEPARATORS.split(_CAMEL.sub("_", name)) if word] or [""]


_WHOLE_KEYS = frozenset(plain(name) for name in SECRET_KEYS)
