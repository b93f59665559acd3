"""Bringing a database to the schema that this version of oxcart needs, or saying what to do."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from oxcart.database.errors import DatabaseBehind
from oxcart.database.migrations import runner

if TYPE_CHECKING:
    from oxcart.database.engine import Database
    from oxcart.database.migrations.runner import Migration, SchemaState

log = logging.getLogger("oxcart.database")


async def read_state(database: Database) -> SchemaState:
    """Read where a database stands; changes nothing.

    Raises:
        ConfigError: the database's user may not read it.
        DatabaseUnavailable: the database cannot be reached.
    """
    async with database.read() as connection:
        return await connection.run_sync(runner.schema_state)


async def migrate(database: Database) -> tuple[Migration, ...]:
    """Run every migration that is missing, all or nothing; safe from several processes at once.

    Returns:
        What was run, in order.

    Raises:
        ConfigError: the database's user may not; the text holds the statement.
        DatabaseUnavailable: the database cannot be reached, or a table was in use for too long.
    """
    # Most often there is nothing to do: then nobody has to wait for his turn to write.
    if not (await read_state(database)).is_behind:
        return ()
    async with database.write() as connection:
        return await connection.run_sync(runner.upgrade)


async def migrate_down(database: Database, revision: str) -> tuple[Migration, ...]:
    """Take back every migration after one, or all with ``base``; what Prisma made stays.

    Returns:
        What was taken back, in order.

    Raises:
        ConfigError: there is no such migration, or the database's user may not.
        MigrationRefused: it would lose rows, or a newer version of oxcart must do it.
        DatabaseUnavailable: the database cannot be reached, or a table was in use for too long.
    """
    async with database.write() as connection:
        return await connection.run_sync(runner.downgrade, revision)


async def prepare_schema(database: Database, *, may_migrate: bool) -> None:
    """Migrate at the start of a program where that is wanted; elsewhere refuse a database behind.

    A database ahead is only told of: a newer version migrated it, migrations only add, and old
    processes must be able to start again while the new ones are rolled out.

    Args:
        database: what to prepare.
        may_migrate: whether this program may change the schema.

    Raises:
        DatabaseBehind: migrations are missing, and this program may not run them.
        ConfigError: the database's user may not read or change the schema.
    """
    state = await read_state(database)
    if state.is_ahead:
        log.warning("database.ahead", extra={"state": describe(state)})
    if not state.is_behind:
        return
    if not may_migrate:
        raise DatabaseBehind(describe(state))
    done = await migrate(database)
    log.info("database.migrated", extra={"run": [item.revision for item in done]})


def describe(state: SchemaState) -> str:
    """Say in a sentence where a database stands and what to do."""
    if state.is_ahead:
        return (
            f"the database is ahead: a newer oxcart took it to migration {state.current}, and this "
            f"version knows {state.head}; update this program when you can"
        )
    if state.is_behind:
        at = f"is at migration {state.current}" if state.current else "has none of the migrations"
        return (
            f"the database is behind: it {at}, and this version of oxcart needs {state.head}; "
            "run: oxcart migrate"
        )
    return f"the database is at migration {state.head}, as this version of oxcart needs"
