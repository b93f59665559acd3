"""The application's tables, named as Prisma named them (case-sensitive, so quoted).

Only columns that oxcart uses are here; the application's own tables may hold more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
    func,
    text,
)

from oxcart.database.types import (
    ExportStatus,
    ExportType,
    JsonDocument,
    RevisionStatus,
    Role,
    SearchVector,
    TextList,
    UtcTimestamp,
    enum_type,
)

if TYPE_CHECKING:
    from datetime import datetime

metadata = MetaData(
    naming_convention={
        "pk": "%(table_name)s_pkey",
        "fk": "%(table_name)s_%(column_0_name)s_fkey",
        "uq": "%(table_name)s_%(column_0_name)s_key",
        "ix": "%(table_name)s_%(column_0_name)s_idx",
        "ck": "%(table_name)s_%(constraint_name)s_check",
    }
)


def _id() -> Column[str]:
    return Column("id", Text, primary_key=True)


def _reference(
    name: str, target: str, *, is_nullable: bool = False, on_delete: str = "CASCADE"
) -> Column[str]:
    # Prisma's own default for a relation is ON UPDATE CASCADE.
    key = ForeignKey(f"{target}.id", ondelete=on_delete, onupdate="CASCADE")
    return Column(name, Text, key, nullable=is_nullable)


def _created_at() -> Column[datetime]:
    return Column(
        "createdAt", UtcTimestamp, nullable=False, server_default=func.current_timestamp()
    )


def _updated_at() -> Column[datetime]:
    return Column("updatedAt", UtcTimestamp, nullable=False)


university = Table(
    "University",
    metadata,
    _id(),
    Column("name", Text, nullable=False),
    Column("domains", TextList),
    Column("logo", Text),
    Column("approved", Boolean, nullable=False, server_default=text("false")),
    _created_at(),
    _updated_at(),
    UniqueConstraint("name"),
)

institute = Table(
    "Institute",
    metadata,
    _id(),
    Column("name", Text, nullable=False),
    Column("slug", Text, nullable=False),
    Column("approved", Boolean, nullable=False, server_default=text("false")),
    _reference("universityId", "University"),
    Index(None, "universityId"),
)

user = Table(
    "User",
    metadata,
    _id(),
    Column("email", Text, nullable=False),
    Column("name", Text),
    Column("bio", Text),
    Column("password", Text),
    Column("role", enum_type(Role, "Role"), nullable=False, server_default=Role.STUDENT.value),
    Column("referralCode", Text, nullable=False),
    Column("socialStats", JsonDocument),
    Column("powerScore", Integer, nullable=False, server_default="0"),
    Column("emailVerified", UtcTimestamp),
    Column("verificationToken", Text),
    Column("verificationExpires", UtcTimestamp),
    Column("failedLoginAttempts", Integer, nullable=False, server_default="0"),
    Column("lockedUntil", UtcTimestamp),
    Column("isPublicProfile", Boolean, nullable=False, server_default=text("false")),
    Column("publicPersonId", Text),
    _reference("universityId", "University", is_nullable=True, on_delete="SET NULL"),
    _reference("secondaryUniversityId", "University", is_nullable=True, on_delete="SET NULL"),
    _created_at(),
    _updated_at(),
    UniqueConstraint("email"),
    UniqueConstraint("referralCode"),
    Index(None, "universityId"),
)

uni_page = Table(
    "UniPage",
    metadata,
    _id(),
    Column("name", Text, nullable=False),
    Column("slug", Text, nullable=False),
    Column("content", Text, nullable=False),
    Column("published", Boolean, nullable=False, server_default=text("false")),
    Column("searchVector", SearchVector),
    Column("keywords", TextList),
    _reference("universityId", "University", is_nullable=True, on_delete="SET NULL"),
    _reference("instituteId", "Institute", is_nullable=True, on_delete="SET NULL"),
    Column("labId", Text),
    _created_at(),
    _updated_at(),
    UniqueConstraint("slug"),
    Index(None, "universityId"),
    Index(None, "instituteId"),
)

wiki_revision = Table(
    "WikiRevision",
    metadata,
    _id(),
    _reference("uniPageId", "UniPage"),
    _reference("authorId", "User"),
    Column("content", Text, nullable=False),
    Column(
        "status",
        enum_type(RevisionStatus, "RevisionStatus"),
        nullable=False,
        server_default=RevisionStatus.PENDING.value,
    ),
    Column("spamScore", Float),
    _created_at(),
    _updated_at(),
    Index(None, "authorId"),
    Index(None, "uniPageId"),
)

referral = Table(
    "Referral",
    metadata,
    _id(),
    _reference("referrerId", "User"),
    _reference("refereeId", "User"),
    _created_at(),
    Index(None, "referrerId"),
)

notification = Table(
    "Notification",
    metadata,
    _id(),
    _reference("userId", "User"),
    Column("type", Text, nullable=False),
    Column("title", Text, nullable=False),
    Column("message", Text, nullable=False),
    Column("link", Text),
    Column("read", Boolean, nullable=False, server_default=text("false")),
    _created_at(),
    Index(None, "userId"),
)

bookmark = Table(
    "Bookmark",
    metadata,
    _id(),
    _reference("userId", "User"),
    _reference("pageId", "UniPage"),
    Column("note", Text),
    _created_at(),
    Index(None, "userId"),
)

export_job = Table(
    "ExportJob",
    metadata,
    _id(),
    _reference("userId", "User"),
    Column("type", enum_type(ExportType, "ExportType"), nullable=False),
    Column(
        "status",
        enum_type(ExportStatus, "JobStatus"),
        nullable=False,
        server_default=ExportStatus.PENDING.value,
    ),
    Column("fileUrl", Text),
    _created_at(),
    Column("completedAt", UtcTimestamp),
    # From here on oxcart's own columns: all nullable, so that Prisma's inserts go on working.
    Column("filters", JsonDocument),
    Column("startedAt", UtcTimestamp),
    Column("attempts", Integer),
    Column("rows", BigInteger),
    Column("bytes", BigInteger),
    Column("sha256", Text),
    Column("error", Text),
    Column("expiredAt", UtcTimestamp),
    Column("ownerRole", Text),
    Index(None, "userId"),
    Index(None, "status"),
)

EXPORT_JOB_ADDITIONS = (
    *("filters", "startedAt", "attempts", "rows", "bytes", "sha256", "error"),
    *("expiredAt", "ownerRole"),
)
"""The columns of ``ExportJob`` that oxcart adds to the table that Prisma made."""

own_metadata = MetaData()
"""Tables of oxcart alone; the application does not know them, and their names start ``oxcart_``."""

idempotency_key = Table(
    "oxcart_idempotency_keys",
    own_metadata,
    Column("user_id", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("fingerprint", Text, nullable=False),
    Column("export_id", Text, nullable=False),
    Column("created_at", UtcTimestamp, nullable=False),
    Index("oxcart_idempotency_keys_created_at_idx", "created_at"),
    PrimaryKeyConstraint("user_id", "key", name="oxcart_idempotency_keys_pkey"),
)

webhook_message = Table(
    "oxcart_webhook_message",
    own_metadata,
    Column("id", Text, primary_key=True),
    Column("type", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("created_at", UtcTimestamp, nullable=False),
    Index("oxcart_webhook_message_created_at_idx", "created_at"),
)

webhook_delivery = Table(
    "oxcart_webhook_delivery",
    own_metadata,
    Column("id", Text, primary_key=True),
    Column(
        "message_id",
        Text,
        ForeignKey("oxcart_webhook_message.id", ondelete="CASCADE"),
        nullable=False,
    ),
    Column("endpoint", Text, nullable=False),
    Column("state", Text, nullable=False),
    # How often the delivery was given to the queue anew, by hand or because its job was lost.
    Column("round", Integer, nullable=False),
    # Attempts since the delivery was last asked for; `attempt` has all of them.
    Column("attempts", Integer, nullable=False),
    Column("due_at", UtcTimestamp, nullable=False),
    Column("created_at", UtcTimestamp, nullable=False),
    Column("ended_at", UtcTimestamp),
    Column("error", Text),
    Index("oxcart_webhook_delivery_state_idx", "state", "due_at"),
    Index("oxcart_webhook_delivery_message_id_idx", "message_id"),
)

webhook_attempt = Table(
    "oxcart_webhook_attempt",
    own_metadata,
    Column(
        "delivery_id",
        Text,
        ForeignKey("oxcart_webhook_delivery.id", ondelete="CASCADE"),
        primary_key=True,
    ),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("started_at", UtcTimestamp, nullable=False),
    Column("duration_ms", Integer, nullable=False),
    Column("status", Integer),
    Column("error", Text),
    Column("answer", Text),
)

webhook_received = Table(
    "oxcart_webhook_received",
    own_metadata,
    Column("id", Text, primary_key=True),
    Column("received_at", UtcTimestamp, nullable=False),
    # Whether the message was acted upon; until then another copy is asked to come again.
    Column("done_at", UtcTimestamp),
    Index("oxcart_webhook_received_received_at_idx", "received_at"),
)

webhook_cursor = Table(
    "oxcart_webhook_cursor",
    own_metadata,
    Column("queue", Text, primary_key=True),
    Column("event_id", Text, nullable=False),
    # The process that reads the queue's events, and until when it may.
    Column("owner", Text),
    Column("leased_until", UtcTimestamp),
)

api_key = Table(
    "oxcart_api_keys",
    own_metadata,
    Column("id", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("hash", Text, nullable=False),
    Column("scopes", Text, nullable=False),
    Column("created_at", UtcTimestamp, nullable=False),
    Column("expires_at", UtcTimestamp),
    Column("last_used_at", UtcTimestamp),
    Column("revoked_at", UtcTimestamp),
    PrimaryKeyConstraint("id", name="oxcart_api_keys_pkey"),
)
