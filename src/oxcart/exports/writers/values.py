"""How values are spelled in files."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datetime import datetime


def iso_time(instant: datetime) -> str:
    """Return an instant in UTC as ISO 8601 with milliseconds, as JavaScript spells it."""
    return instant.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def json_text(value: Any) -> str:
    """Return lists and objects as compact JSON."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def utf8(text: str) -> bytes:
    """Return the text in UTF-8; half a surrogate pair, which UTF-8 cannot hold, becomes ``?``."""
    return text.encode("utf-8", "replace")
