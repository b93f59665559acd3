"""Hiding secrets in log lines and error reports, where no payload says which values are secret.

A secret is known by its name, as a key or beside its value in a text: ``token=...``,
``{"token": "..."}``, ``Authorization: ...``; and by its place in a URL.
"""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Collection, Mapping
from datetime import date, time
from decimal import Decimal
from pathlib import PurePath
from typing import Any
from uuid import UUID

from oxcart.observe.redaction import ALWAYS_SECRET, REDACTED, TOO_DEEP

MAX_DEPTH = 16

_NAMES = frozenset({*ALWAYS_SECRET, "passwd", "pwd", "passphrase", "credentials", "signature"})
_PLAIN = (bool, int, type(None))
_SPOKEN = (PurePath, UUID, Decimal, date, time)
"""What is shown by ``str``; everything else by ``repr``."""
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")
_IN_URL = re.compile(r"([a-zA-Z][a-zA-Z0-9+.-]*://)[^\s/?#]*@")
_BEARER = re.compile(r"\bBearer\s+[A-Za-z0-9._~+/=-]+")
_HEADER = re.compile(
    r"\b((?:proxy-)?authorization|(?:set-)?cookie|x-api-key)(\s*:\s*)[^\r\n]+", re.IGNORECASE
)


class Hider:
    """Hides what is secret by its name.

    Args:
        names: secret names, in any case and punctuation, beside the usual ones.

    Attributes:
        names: the same.
    """

    def __init__(self, names: frozenset[str] = frozenset()) -> None:
        self.names = names
        every = _NAMES | names
        self._endings = tuple(sorted({_plain(name) for name in every} - {""}))
        words = sorted((_as_pattern(name) for name in every if name), key=len, reverse=True)
        self._in_text = re.compile(
            rf"((?:{'|'.join(words)})[\"']?\s*(?:=|(?<=[\"'])\s*:)\s*)"
            rf"(?:\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*'|[^\s\"'&;,)}}\]]+)",
            re.IGNORECASE,
        )
        self.is_secret = functools.lru_cache(maxsize=4_096)(self._is_secret)

    def _is_secret(self, name: str) -> bool:
        """Whether a key names a secret: ``smtp_password`` as well as ``password``."""
        return _plain(name).endswith(self._endings)

    def text(self, text: str) -> str:
        """A text without the secrets that can be told by what stands before them."""
        if "://" in text:
            text = _IN_URL.sub(rf"\1{REDACTED}@", text)
        if ":" in text:
            text = _HEADER.sub(rf"\1\2{REDACTED}", text)
        if "=" in text or ":" in text:
            text = self._in_text.sub(rf"\1{REDACTED}", text)
        return _BEARER.sub(f"Bearer {REDACTED}", text) if "Bearer" in text else text

    def member(self, name: str, value: Any, depth: int = 1) -> Any:
        """The value of a key, or what is shown in its place."""
        if self.is_secret(name) and not isinstance(value, bool | None):
            return REDACTED
        return self.value(value, depth)

    def value(self, value: Any, depth: int = 1) -> Any:
        """A copy of a value that JSON can hold and that may be shown."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, _PLAIN) or (isinstance(value, float) and math.isfinite(value)):
            return value
        if isinstance(value, Mapping | list | tuple | set | frozenset) and depth > MAX_DEPTH:
            return TOO_DEEP
        if isinstance(value, Mapping):
            return {
                self.text(str(name)): self.member(str(name), inner, depth + 1)
                for name, inner in value.items()
            }
        if isinstance(value, list | tuple | set | frozenset):
            return [self.value(inner, depth + 1) for inner in value]
        return self.text(_spoken(value))


def hider() -> Hider:
    """What hides secrets in this process."""
    return _active


def hide_names(names: Collection[str]) -> None:
    """Hide the values of these names too, in the whole process."""
    global _active  # noqa: PLW0603  # what is logged has no other way to know
    if not _active.names.issuperset(names):
        _active = Hider(_active.names.union(names))


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _as_pattern(name: str) -> str:
    """A name in any of its spellings: ``resetCode``, ``reset_code``, ``reset-code``."""
    words = re.split(r"[^A-Za-z0-9]+", _CAMEL.sub("_", name))
    return "[_-]?".join(re.escape(word) for word in words)


def _spoken(value: object) -> str:
    try:
        return str(value) if isinstance(value, _SPOKEN) else repr(value)
    # Somebody's object that cannot be shown must not cost the line.
    except Exception:  # noqa: BLE001
        return f"<{type(value).__name__}>"


_active = Hider()
