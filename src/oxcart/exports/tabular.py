"""What datasets hand to writers: named tables of typed columns, in batches of rows."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime


class Kind(Enum):
    """What a column's values are; decides how a writer shows them."""

    TEXT = "text"
    """Text that people may have typed."""
    NUMBER = "number"
    BOOLEAN = "boolean"
    TIME = "time"
    """An aware instant."""
    JSON = "json"
    """Lists and objects."""


@dataclass(frozen=True, slots=True)
class Heading:
    """A column as a file shows it."""

    name: str
    kind: Kind


@dataclass(frozen=True, slots=True, kw_only=True)
class TableRows:
    """A table on its way into a file. Its rows can be gone through once."""

    name: str
    headings: tuple[Heading, ...]
    batches: Iterable[Sequence[Sequence[Any]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """What a file says about itself."""

    type: str
    user_id: str
    """Who asked."""
    as_of: datetime
    """The instant whose state the file shows, in UTC."""
