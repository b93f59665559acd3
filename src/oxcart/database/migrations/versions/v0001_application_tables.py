"""Make the application's tables that are missing, as Prisma makes them.

A table that is there is left as it is. The definitions are this revision's own and never change.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from oxcart.database.errors import MigrationRefused
from oxcart.database.migrations.ledger import Kind, Ledger

if TYPE_CHECKING:
    from sqlalchemy import Connection

revision = "0001"
down_revision = None

_INSTANT = sa.DateTime().with_variant(postgresql.TIMESTAMP(precision=3), "postgresql")
_LIST = sa.JSON().with_variant(postgresql.ARRAY(sa.Text()), "postgresql")
_DOCUMENT = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
_VECTOR = sa.Text().with_variant(postgresql.TSVECTOR(), "postgresql")

_tables = sa.MetaData(
    naming_convention={
        "pk": "%(table_name)s_pkey",
        "fk": "%(table_name)s_%(column_0_name)s_fkey",
        "uq": "%(table_name)s_%(column_0_name)s_key",
        "ix": "%(table_name)s_%(column_0_name)s_idx",
        "ck": "%(table_name)s_%(constraint_name)s_check",
    }
)


def upgrade(connection: Connection) -> None:
    """Make what is missing."""
    ledger = Ledger(connection)
    ledger.open()
    present = set(sa.inspect(connection).get_table_names())
    missing = [table for table in _tables.sorted_tables if table.name not in present]
    enums = _enums(connection)
    _tables.create_all(connection, tables=missing)
    ledger.note(Kind.TABLE, [table.name for table in missing])
    ledger.note(Kind.ENUM, _enums(connection) - enums)


def downgrade(connection: Connection) -> None:
    """Remove the tables that the upgrade made, if all are empty.

    Raises:
        MigrationRefused: one has rows.
    """
    ledger = Ledger(connection)
    present = set(sa.inspect(connection).get_table_names())
    noted = ledger.noted(Kind.TABLE) & present
    made = [table for table in reversed(_tables.sorted_tables) if table.name in noted]
    for table in made:
        _refuse_rows(connection, table)
    for table in made:
        connection.execute(sa.schema.DropTable(table))
    for name in sorted(ledger.noted(Kind.ENUM) & _enums(connection)):
        postgresql.ENUM(name=name).drop(connection)
    ledger.drop()


def _refuse_rows(connection: Connection, table: sa.Table) -> None:
    if connection.dialect.name == "postgresql":
        # Nobody may put a row in between the look and the end of the table.
        name = connection.dialect.identifier_preparer.format_table(table)
        connection.execute(sa.text(f"LOCK TABLE {name} IN ACCESS EXCLUSIVE MODE"))
    if connection.execute(sa.select(table.c.id).limit(1)).first() is not None:
        raise MigrationRefused(
            f'the table "{table.name}", which oxcart made, has rows that would be lost; '
            "remove the rows first, or go down to 0001 only"
        )


def _enums(connection: Connection) -> set[str]:
    if connection.dialect.name != "postgresql":
        return set()
    found: list[postgresql.base.ReflectedEnum] = sa.inspect(connection).get_enums()  # type: ignore[attr-defined]  # PostgreSQL's inspector has it
    return {enum["name"] for enum in found}


def _id() -> sa.Column[str]:
    return sa.Column("id", sa.Text, primary_key=True)


def _reference(
    name: str, target: str, *, is_nullable: bool = False, on_delete: str = "CASCADE"
) -> sa.Column[str]:
    key = sa.ForeignKey(f"{target}.id", ondelete=on_delete, onupdate="CASCADE")
    return sa.Column(name, sa.Text, key, nullable=is_nullable)


def _text(name: str, *, is_nullable: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.Text, nullable=is_nullable)


def _flag(name: str) -> sa.Column[bool]:
    return sa.Column(name, sa.Boolean, nullable=False, server_default=sa.text("false"))


def _number(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.Integer, nullable=False, server_default="0")


def _enum(name: str, type_: str, *values: str, default: str | None) -> sa.Column[str]:
    kind = sa.Enum(*values, name=type_, create_constraint=True)
    return sa.Column(name, kind, nullable=False, server_default=default)


def _created() -> sa.Column[object]:
    now = sa.func.current_timestamp()
    return sa.Column("createdAt", _INSTANT, nullable=False, server_default=now)


def _updated() -> sa.Column[object]:
    return sa.Column("updatedAt", _INSTANT, nullable=False)


sa.Table(
    "University",
    _tables,
    _id(),
    _text("name"),
    sa.Column("domains", _LIST),
    _text("logo", is_nullable=True),
    _flag("approved"),
    _created(),
    _updated(),
    sa.UniqueConstraint("name"),
)
sa.Table(
    "Institute",
    _tables,
    _id(),
    _text("name"),
    _text("slug"),
    _flag("approved"),
    _reference("universityId", "University"),
    sa.Index(None, "universityId"),
)
sa.Table(
    "User",
    _tables,
    _id(),
    _text("email"),
    _text("name", is_nullable=True),
    _text("bio", is_nullable=True),
    _text("password", is_nullable=True),
    _enum("role", "Role", "STUDENT", "ADMIN", "STAFF", "PENDING_STAFF", default="STUDENT"),
    _text("referralCode"),
    sa.Column("socialStats", _DOCUMENT),
    _number("powerScore"),
    sa.Column("emailVerified", _INSTANT),
    _text("verificationToken", is_nullable=True),
    sa.Column("verificationExpires", _INSTANT),
    _number("failedLoginAttempts"),
    sa.Column("lockedUntil", _INSTANT),
    _flag("isPublicProfile"),
    _text("publicPersonId", is_nullable=True),
    _reference("universityId", "University", is_nullable=True, on_delete="SET NULL"),
    _reference("secondaryUniversityId", "University", is_nullable=True, on_delete="SET NULL"),
    _created(),
    _updated(),
    sa.UniqueConstraint("email"),
    sa.UniqueConstraint("referralCode"),
    sa.Index(None, "universityId"),
)
sa.Table(
    "UniPage",
    _tables,
    _id(),
    _text("name"),
    _text("slug"),
    _text("content"),
    _flag("published"),
    sa.Column("searchVector", _VECTOR),
    sa.Column("keywords", _LIST),
    _reference("universityId", "University", is_nullable=True, on_delete="SET NULL"),
    _reference("instituteId", "Institute", is_nullable=True, on_delete="SET NULL"),
    _text("labId", is_nullable=True),
    _created(),
    _updated(),
    sa.UniqueConstraint("slug"),
    sa.Index(None, "universityId"),
    sa.Index(None, "instituteId"),
)
sa.Table(
    "WikiRevision",
    _tables,
    _id(),
    _reference("uniPageId", "UniPage"),
    _reference("authorId", "User"),
    _text("content"),
    _enum(
        "status",
        "RevisionStatus",
        *("PENDING", "APPROVED", "REJECTED", "AUTO_REJECTED", "FLAGGED"),
        default="PENDING",
    ),
    sa.Column("spamScore", sa.Float),
    _created(),
    _updated(),
    sa.Index(None, "authorId"),
    sa.Index(None, "uniPageId"),
)
sa.Table(
    "Referral",
    _tables,
    _id(),
    _reference("referrerId", "User"),
    _reference("refereeId", "User"),
    _created(),
    sa.Index(None, "referrerId"),
)
sa.Table(
    "Notification",
    _tables,
    _id(),
    _reference("userId", "User"),
    _text("type"),
    _text("title"),
    _text("message"),
    _text("link", is_nullable=True),
    _flag("read"),
    _created(),
    sa.Index(None, "userId"),
)
sa.Table(
    "Bookmark",
    _tables,
    _id(),
    _reference("userId", "User"),
    _reference("pageId", "UniPage"),
    _text("note", is_nullable=True),
    _created(),
    sa.Index(None, "userId"),
)
sa.Table(
    "ExportJob",
    _tables,
    _id(),
    _reference("userId", "User"),
    _enum(
        "type",
        "ExportType",
        *("USER_DATA", "WIKI_PAGES", "MEMBERS", "ANALYTICS"),
        default=None,
    ),
    _enum(
        "status",
        "JobStatus",
        *("PENDING", "PROCESSING", "COMPLETED", "FAILED"),
        default="PENDING",
    ),
    _text("fileUrl", is_nullable=True),
    _created(),
    sa.Column("completedAt", _INSTANT),
    sa.Index(None, "userId"),
    sa.Index(None, "status"),
)
