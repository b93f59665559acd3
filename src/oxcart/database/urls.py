"""Reading of database URLs: SQLAlchemy's, ``postgresql://`` as Prisma writes them, SQLite's."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from oxcart.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

FORMS = "postgresql://user:password@host/name or sqlite:///path/of/file.db"

_PRISMA_ONLY = frozenset(
    {
        "connection_limit",
        "pool_timeout",
        "socket_timeout",
        "pgbouncer",
        "statement_cache_size",
        "schema",
        "single_use_connections",
        "max_connection_lifetime",
        "max_idle_connection_lifetime",
        "sslaccept",
        "sslidentity",
        "sslpassword",
    }
)
"""URL parameters of Prisma that libpq refuses; the site's and oxcart's DATABASE_URL are one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseUrl:
    """A URL taken apart, the same for the asynchronous and the blocking engine."""

    is_sqlite: bool
    """SQLite; otherwise PostgreSQL."""
    asynchronous: URL
    """For the asynchronous engine (aiosqlite, psycopg)."""
    blocking: URL
    """For the blocking engine (sqlite3, psycopg)."""
    path: Path | None = None
    """SQLite's file."""
    schema: str | None = None
    """PostgreSQL's schema when it is not the default one (Prisma's ``schema``)."""
    is_pooled: bool = False
    """PgBouncer stands before PostgreSQL (Prisma's ``pgbouncer=true``): no prepared statements."""


def parse_url(text: str) -> DatabaseUrl:
    """Take a database URL apart.

    Raises:
        ConfigError: it is no URL of PostgreSQL or of a SQLite file. The URL is not shown, since
            it may hold a password.
    """
    try:
        url = make_url(text)
    except (ArgumentError, ValueError) as error:
        raise ConfigError(f"DATABASE_URL is no database URL; it wants {FORMS}") from error
    backend = url.drivername.partition("+")[0]
    if backend == "sqlite":
        return _sqlite(url)
    if backend in ("postgresql", "postgres"):
        return _postgresql(url)
    raise ConfigError(f"DATABASE_URL begins with {backend!r}; it wants {FORMS}")


def sqlite_url(path: Path) -> str:
    """Return the URL of a SQLite file."""
    return URL.create("sqlite", database=str(path)).render_as_string()


def _sqlite(url: URL) -> DatabaseUrl:
    if not url.database or url.database == ":memory:" or url.database.startswith("file:"):
        raise ConfigError("DATABASE_URL must name a SQLite file, as sqlite:///path/of/file.db")
    return DatabaseUrl(
        is_sqlite=True,
        asynchronous=url.set(drivername="sqlite+aiosqlite"),
        blocking=url.set(drivername="sqlite+pysqlite"),
        path=Path(url.database),
    )


def _postgresql(url: URL) -> DatabaseUrl:
    schema = _last(url.query, "schema")
    pooled = _last(url.query, "pgbouncer")
    url = url.set(drivername="postgresql+psycopg").difference_update_query(_PRISMA_ONLY)
    return DatabaseUrl(
        is_sqlite=False,
        asynchronous=url,
        blocking=url,
        schema=None if schema in (None, "public") else schema,
        is_pooled=pooled == "true",
    )


def _last(query: Mapping[str, tuple[str, ...] | str], name: str) -> str | None:
    value = query.get(name)
    return value if value is None or isinstance(value, str) else value[-1]
