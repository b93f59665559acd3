"""The application's database: tables as Prisma made them, connections, users, sample data."""

from oxcart.database.engine import Database
from oxcart.database.errors import (
    DatabaseBehind,
    DatabaseError,
    DatabaseNotEmpty,
    DatabaseUnavailable,
    MigrationRefused,
)
from oxcart.database.types import ExportStatus, ExportType, RevisionStatus, Role
from oxcart.database.users import User, Users

__all__ = [
    "Database",
    "DatabaseBehind",
    "DatabaseError",
    "DatabaseNotEmpty",
    "DatabaseUnavailable",
    "ExportStatus",
    "ExportType",
    "MigrationRefused",
    "RevisionStatus",
    "Role",
    "User",
    "Users",
]
