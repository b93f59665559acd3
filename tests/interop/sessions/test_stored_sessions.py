"""Sessions that the site keeps in PostgreSQL by Prisma: they count as long as their rows do."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx2
import psycopg
import pytest
from tests.integration.database.postgres import PostgresServer, shared_server
from tests.integration.database.prisma import make_site
from tests.integration.http.running import make_settings, running
from tests.interop.sessions.installation import NodeHome
from tests.interop.sessions.site import Site, log_in_by_mail, running_site

from oxcart.database import Database
from oxcart.database.site_sessions import SECONDS_UNTIL_NEXT_LOOK, StoredSessions
from oxcart.http import create_app
from oxcart.system import open_system

SECRET = "s3cret-of-the-site-0123456789abcdef"
MAKE_TABLE = """
CREATE TABLE "Session" (
    "id" TEXT NOT NULL,
    "sessionToken" TEXT NOT NULL,
    "userId" TEXT NOT NULL,
    "expires" TIMESTAMP(3) NOT NULL,
    CONSTRAINT "Session_pkey" PRIMARY KEY ("id")
);
CREATE UNIQUE INDEX "Session_sessionToken_key" ON "Session"("sessionToken");
ALTER TABLE "Session" ADD CONSTRAINT "Session_userId_fkey" FOREIGN KEY ("userId")
    REFERENCES "User"("id") ON DELETE CASCADE ON UPDATE CASCADE;
"""
INSERT = 'INSERT INTO "Session" ("id", "sessionToken", "userId", "expires") VALUES (%s, %s, %s, %s)'
USER, EMAIL = "user_1", "ann@example.org"


@pytest.fixture(scope="module")
def postgres(request: pytest.FixtureRequest) -> PostgresServer:
    return shared_server(request)


@pytest.fixture
def database_url(postgres: PostgresServer) -> Iterator[str]:
    """The site's database, as Prisma made it, without a table of sessions."""
    with postgres.new_database() as url:
        make_site(url)
        yield url


def execute(url: str, statement: str, *values: object) -> None:
    with psycopg.connect(url) as connection:
        connection.execute(statement.encode(), values or None)


@pytest.mark.parametrize("major", [4, 5])
async def test_session_counts_until_it_expires_or_its_row_is_deleted(
    node_home: NodeHome,
    valkey_url: str,
    prefix: str,
    tmp_path: Path,
    database_url: str,
    major: int,
) -> None:
    """NextAuth's handler logs in by a mailed link; its row is stored as Prisma's adapter does."""
    execute(database_url, MAKE_TABLE)
    settings = make_settings(
        tmp_path,
        redis_url=valkey_url,
        prefix=prefix,
        database_url=database_url,
        nextauth_secret=SECRET,
    )
    async with open_system(settings) as system:
        stop = asyncio.Event()
        async with running(create_app(system), stop) as api_url:
            with running_site(
                node_home,
                major=major,
                strategy="database",
                api_url=api_url,
                secret=SECRET,
                users=[{"id": USER, "email": EMAIL}],
            ) as site:
                await _use(site, database_url)


async def _use(site: Site, url: str) -> None:
    async with httpx2.AsyncClient(base_url=site.url) as browser:
        session = await log_in_by_mail(browser, site, EMAIL)
        token, expires = session["sessionToken"], datetime.fromisoformat(session["expires"])
        assert 401 == (await browser.get("/api/exports")).status_code  # no row yet

        execute(url, INSERT, "s1", token, session["userId"], expires.replace(tzinfo=None))
        assert 200 == (await browser.get("/api/exports")).status_code
        assert 401 == (await _with_token(site, browser, token[:-1])).status_code
        assert 200 == (await _with_token(site, browser, token)).status_code

        past = datetime.now(UTC).replace(tzinfo=None) - timedelta(seconds=1)
        execute(url, 'UPDATE "Session" SET expires = %s', past)
        refused = await browser.get("/api/exports")
        assert (401, True) == (refused.status_code, "expired" in refused.text)

        execute(url, 'UPDATE "Session" SET expires = %s', expires.replace(tzinfo=None))
        assert 200 == (await browser.get("/api/exports")).status_code
        execute(url, 'DELETE FROM "Session"')
        replayed = await browser.get("/api/exports")
        assert (401, True) == (replayed.status_code, "does not exist" in replayed.text)


async def _with_token(site: Site, browser: httpx2.AsyncClient, token: str) -> httpx2.Response:
    """Call with the browser's session cookie holding another token."""
    (name,) = [item for item in browser.cookies if item.endswith("session-token")]
    async with httpx2.AsyncClient(base_url=site.url, cookies={name: token}) as other:
        return await other.get("/api/exports")


async def test_missing_table_is_looked_for_again_after_a_minute(database_url: str) -> None:
    now = [0.0]
    async with Database(database_url) as database:
        sessions = StoredSessions(database, clock=lambda: now[0])
        assert await sessions.get("token-1") is None

        execute(database_url, MAKE_TABLE)
        execute(database_url, INSERT, "s1", "token-1", USER, datetime(2099, 1, 1))  # noqa: DTZ001
        assert await sessions.get("token-1") is None
        now[0] = SECONDS_UNTIL_NEXT_LOOK
        found = await sessions.get("token-1")

        assert found is not None
        assert (USER, datetime(2099, 1, 1, tzinfo=UTC)) == (found.user_id, found.expires_at)
        assert await sessions.get("token-\0") is None
