"""Real databases for tests: a SQLite file and a PostgreSQL server."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.integration.database.postgres import PostgresServer, shared_server

from oxcart.database import Database

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path


@pytest.fixture(scope="session")
def postgres(request: pytest.FixtureRequest) -> PostgresServer:
    return shared_server(request)


@pytest.fixture
def postgres_url(postgres: PostgresServer) -> Iterator[str]:
    with postgres.new_database() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'club.db'}"
    url: str = request.getfixturevalue("postgres_url")
    return url


@pytest.fixture
async def empty_database(database_url: str) -> AsyncIterator[Database]:
    """A database without any table."""
    async with Database(database_url) as database:
        yield database


@pytest.fixture
async def database(empty_database: Database) -> Database:
    """A database with the tables, all empty."""
    await empty_database.migrate()
    return empty_database
