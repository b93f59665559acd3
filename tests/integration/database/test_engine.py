from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import psycopg
import pytest
from sqlalchemy import func, inspect, select, text
from tests.integration.database.rows import NOON, insert_user, user_row

from oxcart.database import Database, DatabaseUnavailable, ExportStatus
from oxcart.database.tables import export_job, metadata, user
from oxcart.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path


async def test_schema_is_made_once_and_again_without_a_change(empty_database: Database) -> None:
    await empty_database.create_schema()
    await insert_user(empty_database)
    await empty_database.create_schema()

    async with empty_database.read() as connection:
        names = await connection.run_sync(lambda sync: set(inspect(sync).get_table_names()))
        count = await connection.scalar(select(func.count()).select_from(user))
    assert set(metadata.tables) == names
    assert count == 1


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


PRISMA_TABLES = """
CREATE TYPE "Role" AS ENUM ('STUDENT', 'ADMIN', 'STAFF', 'PENDING_STAFF');
CREATE TYPE "ExportType" AS ENUM ('USER_DATA', 'WIKI_PAGES', 'MEMBERS', 'ANALYTICS');
CREATE TYPE "JobStatus" AS ENUM ('PENDING', 'PROCESSING', 'COMPLETED', 'FAILED');
CREATE TABLE "User" (
    "id" TEXT NOT NULL, "email" TEXT NOT NULL, "name" TEXT,
    "role" "Role" NOT NULL DEFAULT 'STUDENT',
    CONSTRAINT "User_pkey" PRIMARY KEY ("id")
);
CREATE TABLE "ExportJob" (
    "id" TEXT NOT NULL, "userId" TEXT NOT NULL, "type" "ExportType" NOT NULL,
    "status" "JobStatus" NOT NULL DEFAULT 'PENDING', "fileUrl" TEXT,
    "createdAt" TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP, "completedAt" TIMESTAMP(3),
    CONSTRAINT "ExportJob_pkey" PRIMARY KEY ("id")
);
ALTER TABLE "ExportJob" ADD CONSTRAINT "ExportJob_userId_fkey" FOREIGN KEY ("userId")
    REFERENCES "User"("id") ON DELETE CASCADE ON UPDATE CASCADE;
INSERT INTO "User" ("id", "email") VALUES ('user_1', 'ann@example.org');
"""
PRISMA_INSERT = """
INSERT INTO "ExportJob" ("id","userId","type","status","createdAt")
VALUES (%s, 'user_1', CAST('MEMBERS' AS "ExportType"), CAST('PENDING' AS "JobStatus"), %s)
"""


async def test_table_as_prisma_made_it_gains_columns_and_prisma_goes_on(postgres_url: str) -> None:
    """Rows written by Prisma before and after the columns were added read the same."""
    instant = datetime(2026, 1, 2, 3, 4, 5, 678000)  # noqa: DTZ001  # as Prisma writes it
    with psycopg.connect(postgres_url) as prisma:
        prisma.execute(PRISMA_TABLES)
        prisma.execute(PRISMA_INSERT, ["cbefore", instant])
    async with Database(postgres_url) as database:
        await database.create_schema()
        await database.create_schema()
        with psycopg.connect(postgres_url) as prisma:
            prisma.execute(PRISMA_INSERT, ["cafter", instant])
        async with database.read() as connection:
            rows = (await connection.execute(select(export_job).order_by(export_job.c.id))).all()

    assert [row.id for row in rows] == ["cafter", "cbefore"]
    for row in rows:
        assert row.status is ExportStatus.PENDING
        assert row.createdAt == instant.replace(tzinfo=UTC)
        assert (row.filters, row.rows, row.attempts, row.error) == (None, None, None, None)


async def test_missing_right_to_add_columns_names_the_statement(postgres_url: str) -> None:
    with psycopg.connect(postgres_url) as owner:
        owner.execute(PRISMA_TABLES)
        owner.execute("DROP ROLE IF EXISTS worker_only")
        owner.execute("CREATE ROLE worker_only LOGIN")
        owner.execute("GRANT ALL ON SCHEMA public TO worker_only")
    async with Database(postgres_url.replace("postgres@", "worker_only@")) as database:
        with pytest.raises(ConfigError, match="could not run"):
            await database.create_schema()
    with psycopg.connect(postgres_url) as owner:
        owner.execute("DROP OWNED BY worker_only")
        owner.execute("DROP ROLE worker_only")


async def test_schema_of_a_prisma_url_is_used(postgres_url: str) -> None:
    url = f"{postgres_url}&schema=club&connection_limit=5"
    with psycopg.connect(postgres_url) as owner:
        owner.execute("CREATE SCHEMA club")
    async with Database(url) as database:
        await database.create_schema()
    with psycopg.connect(postgres_url) as owner:
        row = owner.execute('SELECT count(*) FROM club."ExportJob"').fetchone()
    assert row == (0,)
