"""The schema comes by migrations, forth and back, and leaves alone what was there before."""

from __future__ import annotations

import asyncio
import sqlite3
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import func, inspect, select
from tests.integration.database.rows import insert_user

from oxcart.database import Database, DatabaseBehind, MigrationRefused
from oxcart.database.migrations import runner
from oxcart.database.migrations.runner import migrations
from oxcart.database.schema import migrate, migrate_down, prepare_schema, read_state
from oxcart.database.tables import EXPORT_JOB_ADDITIONS, metadata, own_metadata, user
from oxcart.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy import Connection

KNOWN = [migration.revision for migration in migrations()]
HEAD = KNOWN[-1]
LEDGERS = {"oxcart_migrations", "oxcart_made"}
LATER_COLUMNS = ("expiredAt", "ownerRole")
"""Columns of migrations that came after the versions without migrations."""


async def table_names(database: Database) -> set[str]:
    async with database.read() as connection:
        return await connection.run_sync(lambda sync: set(inspect(sync).get_table_names()))


async def export_columns(database: Database) -> set[str]:
    async with database.read() as connection:
        columns = await connection.run_sync(lambda sync: inspect(sync).get_columns("ExportJob"))
    return {column["name"] for column in columns}


def described(connection: Connection) -> dict[str, object]:
    """All that the database says about the application's tables."""
    look = inspect(connection)
    return {
        name: (
            [
                {**column, "type": column["type"].compile(dialect=connection.dialect)}
                for column in look.get_columns(name)
            ],
            look.get_pk_constraint(name),
            sorted(look.get_foreign_keys(name), key=str),
            sorted(look.get_indexes(name), key=str),
            sorted(look.get_unique_constraints(name), key=str),
        )
        for name in sorted(set(look.get_table_names()) - LEDGERS)
    }


async def test_migrations_run_once_and_rows_stay(empty_database: Database) -> None:
    first = await migrate(empty_database)
    await insert_user(empty_database)
    second = await migrate(empty_database)

    async with empty_database.read() as connection:
        count = await connection.scalar(select(func.count()).select_from(user))
    assert (first, second, count) == (migrations(), (), 1)
    made = {*metadata.tables, *own_metadata.tables}
    assert await table_names(empty_database) == made | LEDGERS
    state = await read_state(empty_database)
    assert (state.current, state.is_behind, state.is_ahead) == (state.head, False, False)


async def test_migrated_schema_is_the_one_that_the_code_uses(
    empty_database: Database, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    await empty_database.migrate()
    if empty_database.is_sqlite:
        other_url = f"sqlite:///{tmp_path / 'other.db'}"
    else:
        server = request.getfixturevalue("postgres")
        with server.new_database() as other_url:
            await same_schema(empty_database, other_url)
        return
    await same_schema(empty_database, other_url)


async def same_schema(migrated: Database, other_url: str) -> None:
    async with Database(other_url) as other:
        async with other.write() as connection:
            await connection.run_sync(metadata.create_all)
            await connection.run_sync(own_metadata.create_all)
        async with migrated.read() as left, other.read() as right:
            assert await left.run_sync(described) == await right.run_sync(described)


async def test_down_to_base_leaves_an_empty_database(empty_database: Database) -> None:
    await empty_database.migrate()
    undone = await migrate_down(empty_database, "base")

    assert [item.revision for item in undone] == KNOWN[::-1]
    assert await table_names(empty_database) == set()
    assert (await read_state(empty_database)).current is None
    assert await migrate(empty_database) == migrations()


async def test_down_to_a_revision_takes_back_what_came_after_it(database: Database) -> None:
    await insert_user(database)
    undone = await migrate_down(database, "0001")

    assert [item.revision for item in undone] == KNOWN[:0:-1]
    assert not await export_columns(database) & set(EXPORT_JOB_ADDITIONS)
    assert await migrate_down(database, "0001") == ()
    assert [item.revision for item in await migrate(database)] == KNOWN[1:]
    assert set(EXPORT_JOB_ADDITIONS) <= await export_columns(database)


async def test_down_refuses_to_lose_rows_and_changes_nothing(database: Database) -> None:
    await insert_user(database)

    with pytest.raises(MigrationRefused, match='"User", which oxcart made, has rows'):
        await migrate_down(database, "base")
    assert (await read_state(database)).current == HEAD
    assert set(EXPORT_JOB_ADDITIONS) <= await export_columns(database)


async def test_unknown_revision_is_refused_by_name(database: Database) -> None:
    with pytest.raises(ConfigError, match=f"no migration '0815'; there are {', '.join(KNOWN)}"):
        await migrate_down(database, "0815")


async def test_database_made_without_migrations_is_adopted(empty_database: Database) -> None:
    """As versions did that had no migrations: everything at once, oxcart's columns too."""
    async with empty_database.write() as connection:
        await connection.run_sync(metadata.create_all)
        for column in LATER_COLUMNS:
            await connection.exec_driver_sql(f'ALTER TABLE "ExportJob" DROP COLUMN "{column}"')
        if not empty_database.is_sqlite:
            former = 'ALTER TABLE "ExportJob" ALTER COLUMN "startedAt" TYPE TIMESTAMP'
            await connection.exec_driver_sql(former)
    await insert_user(empty_database)

    await empty_database.migrate()
    assert set(EXPORT_JOB_ADDITIONS) <= await export_columns(empty_database)
    await migrate_down(empty_database, "base")

    assert await table_names(empty_database) == set(metadata.tables)
    assert not await export_columns(empty_database) & set(EXPORT_JOB_ADDITIONS)
    async with empty_database.read() as connection:
        assert await connection.scalar(select(func.count()).select_from(user)) == 1


async def test_two_that_migrate_at_once_take_turns(empty_database: Database) -> None:
    async with Database(str_url(empty_database)) as other, asyncio.TaskGroup() as group:
        runs = [group.create_task(migrate(one)) for one in (empty_database, other) * 2]
    done = [item.revision for run in runs for item in run.result()]
    assert sorted(done) == KNOWN


async def test_program_that_may_not_migrate_says_what_to_run(empty_database: Database) -> None:
    with pytest.raises(DatabaseBehind, match=r"none of the migrations.*run: oxcart migrate"):
        await prepare_schema(empty_database, may_migrate=False)
    await empty_database.migrate()
    await migrate_down(empty_database, "0001")
    with pytest.raises(DatabaseBehind, match=rf"at migration 0001, and .* needs {HEAD}"):
        await prepare_schema(empty_database, may_migrate=False)
    assert "oxcart_made" in await table_names(empty_database)

    await prepare_schema(empty_database, may_migrate=True)
    await prepare_schema(empty_database, may_migrate=False)


async def test_database_of_a_newer_version_is_told_of_and_left_alone(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    async with database.write() as connection:
        await connection.exec_driver_sql("UPDATE oxcart_migrations SET version_num = '0815'")

    await prepare_schema(database, may_migrate=True)
    assert await migrate(database) == ()
    with pytest.raises(MigrationRefused, match="only a newer oxcart knows"):
        await migrate_down(database, "0001")

    (record,) = (one for one in caplog.records if one.getMessage() == "database.ahead")
    assert "0815" in record.__dict__["state"]
    assert (await read_state(database)).current == "0815"


async def test_version_that_is_nobodys_is_refused(database: Database) -> None:
    async with database.write() as connection:
        await connection.exec_driver_sql("UPDATE oxcart_migrations SET version_num = 'cafe'")

    with pytest.raises(ConfigError, match="no migration 'cafe'"):
        await read_state(database)


async def test_migration_that_fails_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "club.db"
    with sqlite3.connect(path) as connection:
        connection.execute('CREATE VIEW "ExportJob" AS SELECT 1 AS id')
    connection.close()
    async with Database(f"sqlite:///{path}") as database:
        with pytest.raises(ConfigError, match=r"could not run .*ExportJob.* nothing was changed"):
            await database.migrate()
        assert await table_names(database) == set()
        assert (await read_state(database)).current is None


def test_every_migration_goes_both_ways() -> None:
    scripts = list(runner._scripts().walk_revisions())

    assert [script.revision for script in scripts] == KNOWN[::-1]
    assert all(callable(script.module.downgrade) for script in scripts)


def str_url(database: Database) -> str:
    return database.url.blocking.render_as_string(hide_password=False)
