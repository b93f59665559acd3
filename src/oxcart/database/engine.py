"""The database: an asynchronous engine for the API, a blocking one for worker threads."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager, contextmanager, suppress
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

from sqlalchemy import create_engine, event, text
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import create_async_engine

from oxcart._private_files import make_private_file, make_private_folder, tighten_data_folder
from oxcart.database import sqlite
from oxcart.database.errors import DatabaseUnavailable
from oxcart.database.schema import migrate, prepare_schema
from oxcart.database.urls import parse_url, sqlite_url

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from sqlalchemy import Connection, Engine
    from sqlalchemy.engine import ExceptionContext
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

    from oxcart.settings import Settings

SQLITE_COMPANIONS = ("-wal", "-shm", "-journal")
SQLITE_FILE = "oxcart.db"
"""Name of the default SQLite file in the data folder."""
CONNECT_SECONDS = 5
PING_SECONDS = 3


class Database:
    """The application's database, PostgreSQL or SQLite.

    Nothing is connected before the first use. Every method raises ``DatabaseUnavailable`` when the
    database cannot be reached or goes away. The asynchronous half belongs to one event loop, the
    blocking half may be used by many threads.

    Args:
        url: ``postgresql://…`` (also with Prisma's parameters) or ``sqlite:///file``.

    Raises:
        ConfigError: the URL is of another kind.
    """

    def __init__(self, url: str) -> None:
        self.url = parse_url(url)

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """Return the database that the settings name, by default a SQLite file."""
        if settings.database_url is not None:
            return cls(settings.database_url)
        tighten_data_folder(settings.data_dir)
        return cls(sqlite_url(settings.data_dir / SQLITE_FILE))

    @property
    def is_sqlite(self) -> bool:
        """Whether this is SQLite; otherwise it is PostgreSQL."""
        return self.url.is_sqlite

    @cached_property
    def async_engine(self) -> AsyncEngine:
        """The engine for the event loop."""
        self._make_folder()
        engine = create_async_engine(
            self.url.asynchronous, connect_args=self._connect_args(), **self._options()
        )
        self._listen(engine.sync_engine)
        return engine

    @cached_property
    def engine(self) -> Engine:
        """The engine for threads."""
        self._make_folder()
        engine = create_engine(
            self.url.blocking, connect_args=self._connect_args(), **self._options()
        )
        self._listen(engine)
        event.listen(engine, "handle_error", _close_cursor)
        return engine

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """Give a connection to read with."""
        with _translated():
            async with self.async_engine.connect() as connection:
                yield connection

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        """Give a connection in a transaction that is committed at the end."""
        with _translated():
            async with self.async_engine.connect() as connection:
                await connection.execution_options(**{sqlite.WRITES: True})
                async with connection.begin():
                    yield connection

    @contextmanager
    def write_sync(self) -> Iterator[Connection]:
        """Give a blocking connection in a transaction that is committed at the end."""
        with _translated(), self.engine.connect() as connection:
            connection.execution_options(**{sqlite.WRITES: True})
            with connection.begin():
                yield connection

    @contextmanager
    def snapshot(self) -> Iterator[Connection]:
        """Give a blocking connection whose every query sees the same instant; it cannot write.

        Queries executed with ``yield_per`` stream, so a result of any length takes little memory.
        """
        with _translated(), self.engine.connect() as connection:
            if not self.is_sqlite:
                connection.execution_options(
                    isolation_level="REPEATABLE READ", postgresql_readonly=True
                )
            # SQLite: a transaction in WAL mode sees the instant of its first read throughout.
            with connection.begin():
                yield connection

    async def migrate(self) -> None:
        """Make what is missing of the schema; see ``oxcart.database.schema.migrate``."""
        await migrate(self)

    async def ping(self) -> float:
        """Ask the database for an answer.

        Returns:
            Seconds that it took.

        Raises:
            DatabaseUnavailable: there was none within three seconds.
        """
        started = time.monotonic()
        try:
            async with asyncio.timeout(PING_SECONDS), self.read() as connection:
                await connection.execute(text("SELECT 1"))
        except TimeoutError as error:
            raise DatabaseUnavailable(
                f"the database did not answer within {PING_SECONDS} s"
            ) from error
        return time.monotonic() - started

    async def aclose(self) -> None:
        """Close every connection. The database can be used again afterwards."""
        if "async_engine" in self.__dict__:
            await self.async_engine.dispose()
            del self.async_engine
        self.close()

    def close(self) -> None:
        """Close the blocking half's connections."""
        if "engine" in self.__dict__:
            self.engine.dispose()
            del self.engine

    async def __aenter__(self) -> Self:
        """Return the database."""
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        """Close every connection."""
        await self.aclose()

    def _make_folder(self) -> None:
        if self.url.path is not None:
            make_private_folder(self.url.path.parent)
            # The log and the index beside it are made with the file's own rights.
            make_private_file(self.url.path, companions=SQLITE_COMPANIONS)

    def _options(self) -> dict[str, Any]:
        # Parameters hold people's data, and errors end up in logs and in jobs' failed reasons.
        options: dict[str, Any] = {"hide_parameters": True}
        if not self.is_sqlite:
            options["pool_pre_ping"] = True
        return options

    def _connect_args(self) -> dict[str, Any]:
        if self.is_sqlite:
            return {"timeout": sqlite.BUSY_SECONDS}
        arguments: dict[str, Any] = {
            "connect_timeout": CONNECT_SECONDS,
            # A host that vanishes is noticed in about a minute instead of hours.
            "keepalives_idle": 30,
            "keepalives_interval": 10,
            "keepalives_count": 3,
            "tcp_user_timeout": 60_000,
            "application_name": "oxcart",
        }
        if self.url.schema is not None:
            arguments["options"] = f"-csearch_path={_escaped(self.url.schema)}"
        if self.url.is_pooled:
            arguments["prepare_threshold"] = None
        for given in self.url.blocking.query:
            arguments.pop(given, None)
        return arguments

    def _listen(self, engine: Engine) -> None:
        if self.is_sqlite:
            sqlite.listen(engine)


def _close_cursor(context: ExceptionContext) -> None:
    """Close the cursor of a statement that lost its connection, which SQLAlchemy leaves open.

    psycopg complains of server-side cursors that are never closed.
    """
    if context.is_disconnect and context.execution_context is not None:
        with suppress(Exception):
            context.execution_context.cursor.close()


@asynccontextmanager
async def open_database(settings: Settings) -> AsyncIterator[Database]:
    """Open the database of the settings for a program, with the schema that this version needs.

    In production nothing but ``oxcart migrate`` changes the schema.

    Raises:
        ConfigError: a setting is wrong, or the database's user may not read or change the schema.
        DatabaseError: the database cannot be used, or must be migrated first.
    """
    async with Database.from_settings(settings) as database:
        await prepare_schema(database, may_migrate=not settings.is_production)
        yield database


@contextmanager
def _translated() -> Iterator[None]:
    """Turn what says "the database is not there" into ``DatabaseUnavailable``."""
    try:
        yield
    except (OperationalError, InterfaceError) as error:
        raise DatabaseUnavailable(f"the database did not answer: {_first_line(error)}") from error
    except PoolTimeout as error:
        raise DatabaseUnavailable("every connection to the database is in use") from error
    except DBAPIError as error:
        if error.connection_invalidated:
            raise DatabaseUnavailable(f"the database went away: {_first_line(error)}") from error
        raise


def _first_line(error: DBAPIError) -> str:
    lines = str(error.orig).strip().splitlines()
    return lines[0] if lines else type(error.orig).__name__


def _escaped(value: str) -> str:
    """Escape a value inside libpq's ``options``, where blanks separate."""
    return value.replace("\\", "\\\\").replace(" ", "\\ ")
