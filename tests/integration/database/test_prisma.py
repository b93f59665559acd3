"""On the tables that Prisma made: oxcart adds, Prisma goes on, and going back leaves no trace."""

from __future__ import annotations

import subprocess
import sys
from contextlib import ExitStack
from typing import TYPE_CHECKING

import psycopg
import pytest
from sqlalchemy import select
from tests.integration.database.prisma import INSTANT, dump, insert_as_prisma, make_site
from tests.support import wait_until_sync

from oxcart.database import Database, DatabaseUnavailable, ExportStatus
from oxcart.database.migrations import runner
from oxcart.database.schema import migrate, migrate_down, prepare_schema
from oxcart.database.tables import EXPORT_JOB_ADDITIONS, export_job, own_metadata
from oxcart.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator

KNOWN = [migration.revision for migration in runner.migrations()]
OWN_TABLES = ("oxcart_made", "oxcart_migrations", *own_metadata.tables)
PRISMAS_ROW = ("user_1", "MEMBERS", "PENDING", None, INSTANT, None)


@pytest.fixture
def site_url(postgres_url: str) -> str:
    """The URL of a database as Prisma made it, with rows."""
    make_site(postgres_url)
    return postgres_url


async def test_prisma_goes_on_before_and_after(site_url: str) -> None:
    before = insert_as_prisma(site_url, "cbefore")
    async with Database(site_url) as database:
        await migrate(database)
        await migrate(database)
        after = insert_as_prisma(site_url, "cafter")
        async with database.read() as connection:
            rows = (await connection.execute(select(export_job).order_by(export_job.c.id))).all()

    assert (before, after) == (("cbefore", *PRISMAS_ROW), ("cafter", *PRISMAS_ROW))
    assert [(row.id, row.status) for row in rows] == [
        ("cafter", ExportStatus.PENDING),
        ("cbefore", ExportStatus.PENDING),
        ("cdone", ExportStatus.COMPLETED),
    ]
    assert {getattr(row, name) for row in rows for name in EXPORT_JOB_ADDITIONS} == {None}


async def test_up_and_down_leaves_the_database_as_it_was(site_url: str) -> None:
    """To the last type, constraint and row; tables that the site never had go again too."""
    before = dump(site_url)
    async with Database(site_url) as database:
        await migrate(database)
        up = dump(site_url)
        await migrate_down(database, "base")
        down = dump(site_url)
        await migrate(database)

    assert down == before
    assert dump(site_url) == up
    assert up != before


async def test_up_changes_nothing_of_the_tables_that_were_there(site_url: str) -> None:
    before = dump(site_url, without=("ExportJob",))
    async with Database(site_url) as database:
        await migrate(database)

    made = ("WikiRevision", "Institute", "UniPage", "Referral", "Notification", "Bookmark")
    after = dump(site_url, without=("ExportJob", *OWN_TABLES, *made))
    assert after == before


async def test_exports_go_with_their_user_still(site_url: str) -> None:
    async with Database(site_url) as database:
        await migrate(database)
    with psycopg.connect(site_url) as prisma:
        prisma.execute("""DELETE FROM "public"."User" WHERE "id" = 'user_1'""")
        left = prisma.execute('SELECT count(*) FROM "ExportJob"').fetchone()
    assert left == (0,)


@pytest.mark.parametrize(
    ("instant", "goes"),
    [("TIMESTAMP", True), ("TIMESTAMP(3)", False)],
    ids=["former version", "prisma"],
)
async def test_columns_that_were_there_go_only_if_a_former_version_added_them(
    site_url: str, instant: str, *, goes: bool
) -> None:
    """Versions without migrations had another type of ``startedAt`` than Prisma makes."""
    before = dump(site_url)
    with psycopg.connect(site_url) as connection:
        for column in (
            '"filters" JSONB',
            f'"startedAt" {instant}',
            '"attempts" INTEGER',
            '"rows" BIGINT',
            '"bytes" BIGINT',
            '"sha256" TEXT',
            '"error" TEXT',
        ):
            connection.execute(f'ALTER TABLE "ExportJob" ADD COLUMN {column}'.encode())
    with_columns = dump(site_url)
    async with Database(site_url) as database:
        await migrate(database)
        await migrate_down(database, "base")
    assert dump(site_url) == (before if goes else with_columns)


async def test_column_of_another_form_is_the_sites_and_stays(site_url: str) -> None:
    with psycopg.connect(site_url) as connection:
        connection.execute("""ALTER TABLE "ExportJob" ADD COLUMN "error" VARCHAR(80)""")
    before = dump(site_url)
    async with Database(site_url) as database:
        await migrate(database)
        await migrate_down(database, "base")
    assert dump(site_url) == before


@pytest.fixture
def worker_url(site_url: str) -> Iterator[str]:
    """The site's database, as a user who owns nothing."""
    with psycopg.connect(site_url) as owner:
        owner.execute("CREATE ROLE worker_only LOGIN")
        owner.execute("GRANT ALL ON SCHEMA public TO worker_only")
    yield site_url.replace("postgres@", "worker_only@")
    with psycopg.connect(site_url) as owner:
        owner.execute("DROP OWNED BY worker_only")
        owner.execute("DROP ROLE worker_only")


async def test_missing_right_names_the_statement_and_changes_nothing(
    site_url: str, worker_url: str
) -> None:
    before = dump(site_url)
    async with Database(worker_url) as database:
        with pytest.raises(ConfigError, match=r"could not run .*run it as the owner"):
            await migrate(database)
    assert dump(site_url) == before


async def test_user_who_may_only_read_and_write_rows_can_start(
    site_url: str, worker_url: str
) -> None:
    async with Database(site_url) as database:
        await migrate(database)
    async with Database(worker_url) as database:
        with pytest.raises(ConfigError, match="oxcart_migrations"):
            await prepare_schema(database, may_migrate=False)
        with psycopg.connect(site_url) as owner:
            owner.execute("GRANT SELECT ON oxcart_migrations TO worker_only")
        await prepare_schema(database, may_migrate=False)


async def test_table_in_use_is_not_waited_for_long(
    site_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever waits for a table makes the whole site wait behind it."""
    monkeypatch.setattr(runner, "TABLE_SECONDS", 1)
    before = dump(site_url)
    async with Database(site_url) as database:
        with psycopg.connect(site_url) as busy:
            busy.execute('SELECT * FROM "ExportJob"')
            with pytest.raises(DatabaseUnavailable, match="another transaction held"):
                await migrate(database)
            busy.rollback()
        assert dump(site_url) == before
        await migrate(database)


def test_processes_that_migrate_at_once_take_turns(site_url: str) -> None:
    """All wait behind a lock that the test holds, and are then let go at the same time."""
    command = [sys.executable, "-m", "oxcart", "migrate"]
    waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
    with ExitStack() as stack, psycopg.connect(site_url, autocommit=True) as gate:
        gate.execute("SELECT pg_advisory_lock(%s)", [runner._TURN_KEY])
        processes = [
            stack.enter_context(
                subprocess.Popen(command, env={"DATABASE_URL": site_url}, stdout=subprocess.PIPE)
            )
            for _ in range(3)
        ]
        wait_until_sync(
            lambda: gate.execute(waiting).fetchone() == (3,), within=60, what="all to wait"
        )
        gate.execute("SELECT pg_advisory_unlock(%s)", [runner._TURN_KEY])
        outputs = [process.communicate(timeout=60)[0].decode() for process in processes]

    assert [process.returncode for process in processes] == [0, 0, 0]
    assert sorted(output.count("run: ") for output in outputs) == [0, 0, len(KNOWN)]
    assert all(f"is at migration {KNOWN[-1]}" in output for output in outputs)
