from __future__ import annotations

import sqlite3
from datetime import UTC
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from sqlalchemy import func, select, text
from tests.integration.database.rows import NOON, insert_user, user_row

from oxcart.database import Database, DatabaseUnavailable, sqlite
from oxcart.database.tables import export_job, user

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


async def test_instants_come_back_in_utc_with_milliseconds(database: Database) -> None:
    await insert_user(database)

    async with database.read() as connection:
        created = await connection.scalar(select(user.c.createdAt))
    assert created == NOON.replace(microsecond=123000)
    assert created.tzinfo is UTC


async def test_instant_without_zone_is_refused(database: Database) -> None:
    with pytest.raises(Exception, match="has no time zone"):
        await insert_user(database, createdAt=NOON.replace(tzinfo=None))


async def test_foreign_keys_hold_and_exports_go_with_their_user(database: Database) -> None:
    await insert_user(database)
    async with database.write() as connection:
        row = {"id": "cexport", "userId": "user_1", "type": "MEMBERS", "createdAt": NOON}
        await connection.execute(export_job.insert(), [row])
    async with database.write() as connection:
        await connection.execute(user.delete())

    async with database.read() as connection:
        assert await connection.scalar(select(func.count()).select_from(export_job)) == 0


async def test_a_snapshot_does_not_see_what_is_written_meanwhile(database: Database) -> None:
    await insert_user(database)
    count = select(func.count()).select_from(user)

    with database.snapshot() as connection:
        before = connection.scalar(count)
        await insert_user(database, user_id="user_2")
        during = connection.scalar(count)
    with database.snapshot() as connection:
        after = connection.scalar(count)

    assert (before, during, after) == (1, 1, 2)


def test_a_snapshot_on_postgresql_cannot_write(postgres_url: str) -> None:
    database = Database(postgres_url)
    try:
        with (
            pytest.raises(Exception, match="read-only transaction"),
            database.snapshot() as connection,
        ):
            connection.execute(text("CREATE TABLE forbidden (id int)"))
    finally:
        database.close()


async def test_blocking_and_asynchronous_writers_take_turns(database: Database) -> None:
    with database.write_sync() as connection:
        connection.execute(user.insert(), [user_row()])
    await insert_user(database, user_id="user_2")

    async with database.read() as connection:
        assert await connection.scalar(select(func.count()).select_from(user)) == 2


async def test_a_failed_transaction_leaves_nothing(database: Database) -> None:
    async def insert_and_fail() -> None:
        async with database.write() as connection:
            await connection.execute(user.insert(), [user_row()])
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await insert_and_fail()

    async with database.read() as connection:
        assert await connection.scalar(select(func.count()).select_from(user)) == 0


async def test_ping_answers_in_seconds(database: Database) -> None:
    assert 0 <= await database.ping() < 3


async def test_unreachable_database_says_so(tmp_path: Path) -> None:
    async with Database(f"postgresql://postgres@/club?host={tmp_path}") as database:
        with pytest.raises(DatabaseUnavailable, match="did not answer"):
            await database.ping()
        with pytest.raises(DatabaseUnavailable), database.snapshot():
            pass


async def test_errors_do_not_show_what_was_sent(database: Database) -> None:
    await insert_user(database)

    with pytest.raises(Exception, match="INSERT") as caught:
        await insert_user(database, bio="very private")
    assert "very private" not in str(caught.value)


async def test_schema_of_a_prisma_url_is_used(postgres_url: str) -> None:
    url = f"{postgres_url}&schema=club&connection_limit=5"
    with psycopg.connect(postgres_url) as owner:
        owner.execute("CREATE SCHEMA club")
    async with Database(url) as database:
        await database.migrate()
    with psycopg.connect(postgres_url) as owner:
        row = owner.execute('SELECT count(*) FROM club."ExportJob"').fetchone()
    assert row == (0,)


def hold_new_file(path: Path) -> sqlite3.Connection:
    """Write in a database that is not in WAL mode yet, and be in the middle of it."""
    holder = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    holder.execute("CREATE TABLE notes (x)")
    holder.execute("BEGIN IMMEDIATE")
    return holder


@pytest.fixture
def taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Database]:
    """A database that another lets go of once somebody has waited for it."""
    holder = hold_new_file(tmp_path / "club.db")
    pause = sqlite._pause

    def release(connection: Any) -> None:
        if holder.in_transaction:
            holder.execute("COMMIT")
        pause(connection)

    monkeypatch.setattr(sqlite, "_pause", release)
    yield Database(f"sqlite:///{tmp_path / 'club.db'}")
    assert not holder.in_transaction
    holder.close()


async def test_new_sqlite_file_that_another_writes_is_waited_for(taken: Database) -> None:
    async with taken, taken.read() as connection:
        assert await connection.scalar(text("PRAGMA journal_mode")) == "wal"


def test_new_sqlite_file_is_waited_for_in_threads_too(taken: Database) -> None:
    with taken.write_sync() as connection:
        assert connection.scalar(text("PRAGMA journal_mode")) == "wal"
    taken.close()


async def test_new_sqlite_file_that_stays_taken_is_told_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "BUSY_SECONDS", 0.05)
    holder = hold_new_file(tmp_path / "club.db")
    async with Database(f"sqlite:///{tmp_path / 'club.db'}") as waiting:
        with pytest.raises(DatabaseUnavailable, match="database is locked"):
            async with waiting.read():
                pass
    holder.close()
