"""A row of ``ExportJob`` as a value, and its place in a list."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from oxcart.database.types import ExportStatus

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from oxcart import JsonValue


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportRecord:
    """An export as its row says."""

    id: str
    """Also the id of its job."""
    user_id: str
    type: str
    status: ExportStatus
    created_at: datetime
    file_url: str | None = None
    """Where the file is; None until COMPLETED, and again after it expired."""
    completed_at: datetime | None = None
    """When it was COMPLETED or FAILED."""
    filters: Mapping[str, JsonValue] | None = None
    """None also for rows that were made by the site itself."""
    started_at: datetime | None = None
    """When the last attempt began."""
    attempts: int | None = None
    """Number of the last attempt, from 1."""
    rows: int | None = None
    size_bytes: int | None = None
    sha256: str | None = None
    error: str | None = None
    """Why it FAILED."""
    expired_at: datetime | None = None
    """When the file was removed because it had been kept long enough."""
    owner_role: str | None = None
    """The user's role when the file was written; it decided which rows are in the file."""

    @property
    def is_own(self) -> bool:
        """Whether oxcart made the row; rows of the site itself have no filters, not even none."""
        return self.filters is not None

    @property
    def is_open(self) -> bool:
        """Whether there is still something to come."""
        return self.status in (ExportStatus.PENDING, ExportStatus.PROCESSING)


@dataclass(frozen=True, slots=True)
class Position:
    """A place in the list of exports, which is ordered by creation, then id."""

    created_at: datetime
    id: str

    @classmethod
    def of(cls, record: ExportRecord) -> Position:
        """Return the place of that record."""
        return cls(record.created_at, record.id)
