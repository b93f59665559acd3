"""Fixtures of the exports' tests: a small club in either database, and a folder for files."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
from tests.integration.database.fixtures import (
    database,
    database_url,
    empty_database,
    postgres,
    postgres_url,
)
from tests.integration.exports.doubles import SMALL_CLUB
from tests.integration.exports.site import Site, open_site

from oxcart.database import Database
from oxcart.database.sample import fill_with_sample
from oxcart.exports.storage import LocalStorage

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from tests.integration.database.postgres import PostgresServer

__all__ = ["database", "database_url", "empty_database", "postgres", "postgres_url"]


@pytest.fixture(scope="session")
def sqlite_club(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file with sample data, to be copied."""
    path = tmp_path_factory.mktemp("club") / "club.db"
    fill(f"sqlite:///{path}")
    return path


@pytest.fixture(scope="session")
def postgres_club(postgres: PostgresServer) -> Iterator[str]:
    """The name of a PostgreSQL database with sample data, to be copied."""
    with postgres.new_database() as url:
        fill(url)
        yield urlsplit(url).path.removeprefix("/")


@pytest.fixture
def sqlite_club_url(sqlite_club: Path, tmp_path: Path) -> str:
    """The URL of a SQLite database with sample data of the test's own."""
    return f"sqlite:///{shutil.copy(sqlite_club, tmp_path / 'club.db')}"


@pytest.fixture(params=["sqlite", "postgresql"])
def club_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """The URL of a database with sample data of the test's own."""
    if request.param == "sqlite":
        yield request.getfixturevalue("sqlite_club_url")
        return
    server: PostgresServer = request.getfixturevalue("postgres")
    with server.new_database(request.getfixturevalue("postgres_club")) as url:
        yield url


@pytest.fixture
async def club(club_url: str) -> AsyncIterator[Database]:
    """A database with sample data of the test's own."""
    async with Database(club_url) as database:
        yield database


@pytest.fixture
def storage(tmp_path: Path) -> LocalStorage:
    return LocalStorage(tmp_path / "exports")


def fill(url: str) -> None:
    database = Database(url)
    fill_with_sample(database, size=SMALL_CLUB)
    database.close()


@pytest.fixture
async def site(club: Database, valkey_url: str, prefix: str, tmp_path: Path) -> AsyncIterator[Site]:
    """A site on either database, with sample data, and a real Valkey."""
    async with open_site(club, valkey_url=valkey_url, prefix=prefix, folder=tmp_path) as opened:
        yield opened


@pytest.fixture
async def sqlite_site(
    sqlite_club_url: str, valkey_url: str, prefix: str, tmp_path: Path
) -> AsyncIterator[Site]:
    """A site on SQLite, for what does not depend on the database."""
    async with (
        Database(sqlite_club_url) as database,
        open_site(database, valkey_url=valkey_url, prefix=prefix, folder=tmp_path) as opened,
    ):
        yield opened
