"""Runs the migrations: one transaction, one process at a time, all or nothing.

The revisions are Alembic's. They get the connection as an argument instead of through Alembic's
module-level proxies, so that several databases may be migrated at the same time in one process.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import MetaData, Table, inspect, text
from sqlalchemy.exc import InternalError, NotSupportedError, OperationalError, ProgrammingError

from oxcart.database.errors import DatabaseUnavailable, MigrationRefused
from oxcart.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from alembic.runtime.migration import MigrationStep
    from sqlalchemy import Connection
    from sqlalchemy.exc import DBAPIError

    Plan = Callable[[ScriptDirectory, Any], Iterable[MigrationStep]]

VERSION_TABLE = "oxcart_migrations"
"""Not Alembic's default name: an application may have migrations of its own in the database."""
BASE = "base"
"""Before the first migration."""
TURN_SECONDS = 300
"""How long to wait for another process that migrates the same database."""
TABLE_SECONDS = 10
"""How long to wait for a table that is in use, and meanwhile keep others from using it."""
_TURN_KEY = 0x6F78_6361_7274
"""Key of PostgreSQL's advisory lock ("oxcart"): processes that start together take turns."""
_LOCK_NOT_AVAILABLE = "55P03"
_NOT_ALLOWED = "42501"


@dataclass(frozen=True, slots=True, kw_only=True)
class Migration:
    """One step of the schema."""

    revision: str
    summary: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SchemaState:
    """Where a database stands, beside what this version of oxcart needs."""

    current: str | None
    """The last migration that was run; None: none was."""
    head: str
    """The last migration that this version knows."""
    pending: tuple[Migration, ...]
    """What is still to be run, in order."""

    @property
    def is_behind(self) -> bool:
        """Whether migrations must be run before this version works."""
        return bool(self.pending)

    @property
    def is_ahead(self) -> bool:
        """Whether a newer version of oxcart migrated the database."""
        return self.current is not None and self.current > self.head


def migrations() -> tuple[Migration, ...]:
    """All migrations that this version knows, the first one first."""
    scripts = reversed(list(_scripts().walk_revisions()))
    return tuple(
        Migration(revision=script.revision, summary=script.doc.splitlines()[0].rstrip("."))
        for script in scripts
    )


def schema_state(connection: Connection) -> SchemaState:
    """Read where the database stands; changes nothing.

    Raises:
        ConfigError: the database's user may not read it, or what it holds makes no sense.
    """
    known = migrations()
    head = known[-1].revision
    with _explained():
        current = _current(connection)
    if current is not None and not (current.isdecimal() and current > head):
        _refuse_unknown(current, known)
    pending = tuple(item for item in known if current is None or item.revision > current)
    return SchemaState(current=current, head=head, pending=pending)


def upgrade(connection: Connection) -> tuple[Migration, ...]:
    """Run every migration that is missing; with none, change nothing.

    Args:
        connection: in a transaction that writes.

    Returns:
        What was run, in order.

    Raises:
        ConfigError: the database's user may not; the text holds the statement.
        DatabaseUnavailable: a table was in use for too long.
    """
    with _explained():
        _take_turn(connection)
        pending = schema_state(connection).pending
        if pending:
            _run(connection, lambda scripts, rev: scripts._upgrade_revs("head", rev))  # noqa: SLF001  # Alembic documents it for this very use
    return pending


def downgrade(connection: Connection, revision: str) -> tuple[Migration, ...]:
    """Take back every migration that came after one.

    Args:
        connection: in a transaction that writes.
        revision: the last one to stay, or ``base``: none stays.

    Returns:
        What was taken back, in order.

    Raises:
        ConfigError: there is no such migration, or the database's user may not.
        MigrationRefused: it would lose rows, or a newer version of oxcart must do it.
        DatabaseUnavailable: a table was in use for too long.
    """
    known = migrations()
    if revision != BASE:
        _refuse_unknown(revision, known)
    with _explained():
        _take_turn(connection)
        state = schema_state(connection)
        if state.is_ahead:
            raise MigrationRefused(
                f"the database is at migration {state.current}, which only a newer oxcart knows; "
                f"run that one's: oxcart migrate --down {revision}"
            )
        undone = tuple(
            item
            for item in reversed(known)
            if item.revision <= (state.current or "")
            and (revision == BASE or item.revision > revision)
        )
        if undone:
            _run(connection, lambda scripts, rev: scripts._downgrade_revs(revision, rev))  # noqa: SLF001  # as above
        if revision == BASE:
            Table(VERSION_TABLE, MetaData()).drop(connection, checkfirst=True)
    return undone


@cache
def _scripts() -> ScriptDirectory:
    return ScriptDirectory(Path(__file__).parent)


def _context(connection: Connection, fn: object = None) -> MigrationContext:
    return MigrationContext.configure(
        connection,
        opts={"version_table": VERSION_TABLE, "transactional_ddl": True, "fn": fn},
    )


def _current(connection: Connection) -> str | None:
    if not inspect(connection).has_table(VERSION_TABLE):
        return None
    heads = _context(connection).get_current_heads()
    return ", ".join(heads) or None


def _run(connection: Connection, plan: Plan) -> None:
    def steps(revision: object, _: MigrationContext) -> Iterable[MigrationStep]:
        return plan(_scripts(), revision)

    _context(connection, steps).run_migrations(connection=connection)


def _take_turn(connection: Connection) -> None:
    """Wait until no other process migrates; SQLite's writing transaction is that by itself."""
    if connection.dialect.name != "postgresql":
        return
    connection.execute(text(f"SET LOCAL lock_timeout = '{TURN_SECONDS}s'"))
    connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _TURN_KEY})
    # Whoever waits for a table keeps everybody who comes later waiting: better to give up.
    connection.execute(text(f"SET LOCAL lock_timeout = '{TABLE_SECONDS}s'"))


def _refuse_unknown(revision: str, known: tuple[Migration, ...]) -> None:
    names = [item.revision for item in known]
    if revision not in names:
        raise ConfigError(f"there is no migration {revision!r}; there are {', '.join(names)}")


@contextmanager
def _explained() -> Iterator[None]:
    """Turn what the database answers into what to do about it."""
    try:
        yield
    except (ProgrammingError, InternalError, NotSupportedError) as error:
        raise ConfigError(_refusal(error)) from error
    except OperationalError as error:
        if getattr(error.orig, "sqlite_errorname", None) == "SQLITE_ERROR":
            raise ConfigError(_refusal(error)) from error
        if _sqlstate(error) != _LOCK_NOT_AVAILABLE:
            raise
        raise DatabaseUnavailable(
            f"another transaction held what {error.statement!r} needs for too long; "
            "nothing was changed; run it again"
        ) from error
    except CommandError as error:  # Alembic's own
        raise ConfigError(f"the migrations cannot be run: {error}") from error


def _refusal(error: DBAPIError) -> str:
    told = f"the database could not run {error.statement!r}: {error.orig}; nothing was changed"
    if _sqlstate(error) == _NOT_ALLOWED:
        return f"{told}; run it as the owner of the tables, or grant the right"
    return told


def _sqlstate(error: DBAPIError) -> object:
    return getattr(error.orig, "sqlstate", None)
