"""Column types that mean the same on PostgreSQL, as Prisma made them, and on SQLite."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from sqlalchemy import JSON, DateTime, Enum, Text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, TIMESTAMP, TSVECTOR
from sqlalchemy.types import TypeDecorator

if TYPE_CHECKING:
    from sqlalchemy.engine import Dialect
    from sqlalchemy.types import TypeEngine


class ExportType(StrEnum):
    """The four exports; also the names of their jobs."""

    USER_DATA = "USER_DATA"
    WIKI_PAGES = "WIKI_PAGES"
    MEMBERS = "MEMBERS"
    ANALYTICS = "ANALYTICS"


class ExportStatus(StrEnum):
    """Where an export stands (the PostgreSQL type ``JobStatus``)."""

    PENDING = "PENDING"
    """The row is there, no worker has begun. Set when the row is made."""
    PROCESSING = "PROCESSING"
    """A worker has begun; stays so while a failed attempt waits to be repeated."""
    COMPLETED = "COMPLETED"
    """The file is there. Never left again."""
    FAILED = "FAILED"
    """The attempts are used up, or it can never work."""


class Role(StrEnum):
    """What a user may do."""

    STUDENT = "STUDENT"
    ADMIN = "ADMIN"
    STAFF = "STAFF"
    PENDING_STAFF = "PENDING_STAFF"


class RevisionStatus(StrEnum):
    """Where a wiki revision stands in moderation."""

    PENDING = "PENDING"
    APPROVED = "APPROVED"
    REJECTED = "REJECTED"
    AUTO_REJECTED = "AUTO_REJECTED"
    FLAGGED = "FLAGGED"


class UtcTimestamp(TypeDecorator[datetime]):
    """Aware UTC in Python; ``timestamp(3)`` without zone, holding UTC, in the database."""

    impl = DateTime
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Keep milliseconds on PostgreSQL, as Prisma does."""
        if dialect.name == "postgresql":
            # Not adapted to the dialect, which would lose the precision.
            return TIMESTAMP(precision=3, timezone=False)
        return dialect.type_descriptor(DateTime())

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Take an aware instant, give naive UTC in whole milliseconds."""
        del dialect
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"{value!r} has no time zone; the database keeps instants, in UTC")
        utc = value.astimezone(UTC).replace(tzinfo=None)
        # Rounded down here, so that both databases keep the same instant.
        return utc.replace(microsecond=utc.microsecond // 1000 * 1000)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Give an aware instant."""
        del dialect
        return None if value is None else value.replace(tzinfo=UTC)


def enum_type(values: type[StrEnum], name: str) -> Enum:
    """Return a PostgreSQL enum type of that (quoted) name; text with a check on SQLite."""
    return Enum(
        values,
        name=name,
        values_callable=lambda members: [member.value for member in members],
        create_constraint=True,
    )


TextList = JSON().with_variant(ARRAY(Text()), "postgresql")
"""``text[]``; a JSON array on SQLite."""

JsonDocument = JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")
"""``jsonb``; JSON text on SQLite. None is SQL's NULL."""

SearchVector = Text().with_variant(TSVECTOR(), "postgresql")
"""PostgreSQL's full-text index value; never exported."""
