from __future__ import annotations

from pathlib import Path

import pytest

from oxcart.database.engine import Database
from oxcart.database.urls import parse_url, sqlite_url
from oxcart.errors import ConfigError
from oxcart.settings import Settings


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+asyncpg"])
def test_every_postgresql_scheme_uses_psycopg(scheme: str) -> None:
    url = parse_url(f"{scheme}://ann:secret@db.example:5433/club")

    assert url.asynchronous.drivername == url.blocking.drivername == "postgresql+psycopg"
    assert (url.blocking.host, url.blocking.port) == ("db.example", 5433)
    assert not url.is_sqlite


@pytest.mark.parametrize("scheme", ["sqlite", "sqlite+aiosqlite"])
def test_sqlite_file_gets_a_driver_for_each_engine(scheme: str) -> None:
    url = parse_url(f"{scheme}:///folder/club.db")

    assert url.asynchronous.drivername == "sqlite+aiosqlite"
    assert url.blocking.drivername == "sqlite+pysqlite"
    assert url.path == Path("folder/club.db")


def test_parameters_of_prisma_are_understood_and_not_handed_to_libpq() -> None:
    url = parse_url(
        "postgresql://ann@db/club?schema=app&connection_limit=5&pgbouncer=true&sslmode=require"
    )

    assert dict(url.blocking.query) == {"sslmode": "require"}
    assert url.schema == "app"
    assert url.is_pooled


def test_the_default_schema_needs_no_search_path() -> None:
    assert parse_url("postgresql://ann@db/club?schema=public").schema is None


@pytest.mark.parametrize(
    "text",
    ["", "club.db", "mysql://ann:secret@db/club", "sqlite://", "sqlite:///:memory:", "http://x"],
)
def test_other_urls_are_refused_without_showing_the_password(text: str) -> None:
    with pytest.raises(ConfigError, match="DATABASE_URL") as caught:
        parse_url(text)
    assert "secret" not in str(caught.value)


def test_a_path_with_odd_characters_survives_the_url() -> None:
    path = Path("/tmp/a b/%41?x#y/club.db")  # noqa: S108  # a name only, nothing is written

    assert parse_url(sqlite_url(path)).path == path


def test_without_a_url_the_data_folder_has_a_sqlite_file(tmp_path: Path) -> None:
    database = Database.from_settings(Settings(data_dir=tmp_path))

    assert database.url.path == tmp_path / "oxcart.db"


def test_a_password_in_the_url_is_not_in_the_repr() -> None:
    database = Database("postgresql://ann:secret@db/club")

    assert "secret" not in repr(database.url)
