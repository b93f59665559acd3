"""What texts a database can hold."""

from __future__ import annotations

import re

# PostgreSQL refuses NUL, and no UTF-8 has half of a surrogate pair; JSON can spell both.
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


def is_storable(text: str) -> bool:
    """Whether the text can be stored, and so whether it is worth looking for it."""
    return _UNSTORABLE.search(text) is None


def storable(text: str) -> str:
    """Return the text without what cannot be stored."""
    return _UNSTORABLE.sub("", text)
