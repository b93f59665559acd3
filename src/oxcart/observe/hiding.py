"""Hiding secrets in log lines and error reports, where no payload says which values are secret.

A secret is known by its name, as a key or beside its value in a text: ``token=...``,
``{"token": "..."}``, ``Authorization: ...``; and by its place in a URL.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from datetime import date, time
from decimal import Decimal
from pathlib import PurePath
from typing import Any
from uuid import UUID

from oxcart.observe.redaction import TOO_DEEP
from oxcart.observe.secret_names import ONLY_IN_LOGS, REDACTED, SecretNames
from oxcart.observe.secret_texts import SecretTexts

MAX_DEPTH = 16

_PLAIN = (bool, int, type(None))
_SPOKEN = (PurePath, UUID, Decimal, date, time)
"""What is shown by ``str``; everything else by ``repr``."""


class Hider:
    """Hides what is secret by its name.

    Args:
        names: secret names, in any case and punctuation, beside the usual ones.

    Attributes:
        names: the same.
        is_secret: whether a key names a secret: ``smtp_password`` as well as ``password``.
        text: returns a text without the secrets that a name or a URL gives away.
    """

    def __init__(self, names: frozenset[str] = frozenset()) -> None:
        self.names = names
        self.is_secret = SecretNames(names | ONLY_IN_LOGS).is_secret
        self.text = SecretTexts(names).hide

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


def _spoken(value: object) -> str:
    try:
        return str(value) if isinstance(value, _SPOKEN) else repr(value)
    # Somebody's object that cannot be shown must not cost the line.
    except Exception:  # noqa: BLE001
        return f"<{type(value).__name__}>"


_active = Hider()
