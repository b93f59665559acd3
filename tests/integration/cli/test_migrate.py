"""``oxcart migrate``, and programs that start on a database that was not migrated."""

from __future__ import annotations

import json
from pathlib import Path

import psycopg
import pytest
from tests.integration.cli.programs import environment, run
from typer.testing import CliRunner

from oxcart.cli.main import cli
from oxcart.database import DatabaseBehind
from oxcart.database.migrations.runner import migrations
from oxcart.settings import Settings
from oxcart.system import open_system

KNOWN = [migration.revision for migration in migrations()]


def test_forth_back_and_the_state_between(tmp_path: Path) -> None:
    env = environment(tmp_path)

    behind = run("migrate", "--check", env=env)
    forth = run("migrate", env=env)
    state = json.loads(run("migrate", "--status", "--json", env=env).stdout)
    unknown = run("migrate", "--down", "0815", env=env)
    back = run("migrate", "--down", "base", env=env)

    codes = [done.returncode for done in (behind, forth, unknown, back)]
    assert [1, 0, 3, 0] == codes
    assert "run: oxcart migrate" in behind.stdout
    assert len(KNOWN) == forth.stdout.count("run: 000")
    assert (KNOWN[-1], False) == (state["current"], state["isBehind"])
    assert [(name, True) for name in KNOWN] == [
        (item["revision"], item["isRun"]) for item in state["migrations"]
    ]
    assert f"there are {', '.join(KNOWN)}" in unknown.stderr
    assert back.stdout.splitlines()[-1] == "the database is at migration base"


@pytest.mark.parametrize("options", [["--check", "--status"], ["--json"]])
def test_options_that_exclude_one_another_are_wrong_usage(options: list[str]) -> None:
    assert 2 == CliRunner().invoke(cli, ["migrate", *options]).exit_code


def test_database_that_is_not_there_is_told_without_a_traceback(tmp_path: Path) -> None:
    env = environment(tmp_path, DATABASE_URL="postgresql://club:s3cret@127.0.0.1:1/club")

    done = run("migrate", env=env)

    assert 3 == done.returncode
    assert "did not answer" in done.stderr
    assert "Traceback" not in done.stderr + done.stdout
    assert "s3cret" not in done.stderr


async def test_production_does_not_migrate_sqlite_either(tmp_path: Path, valkey_url: str) -> None:
    settings = Settings(
        env="production",
        redis_url=valkey_url,
        data_dir=tmp_path,
        database_url=f"sqlite:///{tmp_path}/club.db",
    )

    with pytest.raises(DatabaseBehind, match="run: oxcart migrate"):
        async with open_system(settings):
            pass


@pytest.mark.parametrize("words", [("exports", "sweep"), ("keys", "list"), ("webhooks", "list")])
def test_commands_of_operators_do_not_migrate_in_production(
    tmp_path: Path, valkey_url: str, words: tuple[str, str]
) -> None:
    database = tmp_path / "club.db"
    production = {
        "OXCART_ENV": "production",
        "REDIS_URL": valkey_url,
        "DATABASE_URL": f"sqlite:///{database}",
        "OXCART_SIGNING_SECRET": "7f3K9xQ2mZ8vR4tB6nW1cY5hJ0pL2sD4",
        "SMTP_HOST": "127.0.0.1",
        "SMTP_FROM": "club@club.example",
    }

    done = run(*words, env=environment(tmp_path, **production))

    assert 3 == done.returncode
    assert "run: oxcart migrate" in done.stderr


async def test_production_does_not_migrate_but_says_what_to_run(
    tmp_path: Path, valkey_url: str, prefix: str, postgres_url: str
) -> None:
    production = {
        "OXCART_ENV": "production",
        "REDIS_URL": valkey_url,
        "OXCART_PREFIX": prefix,
        "DATABASE_URL": postgres_url,
        "OXCART_SIGNING_SECRET": "7f3K9xQ2mZ8vR4tB6nW1cY5hJ0pL2sD4",
        "OXCART_OPERATOR_KEYS": "hJ0pL2sD47f3K9xQ2mZ8vR4tB6nW1cY5",
        "SMTP_HOST": "127.0.0.1",
        "SMTP_FROM": "club@club.example",
    }
    env = environment(tmp_path, **production)

    refused = [run("worker", env=env), run("api", "--port", "0", env=env)]
    with psycopg.connect(postgres_url) as connection:
        tables = connection.execute("SELECT 1 FROM pg_tables WHERE schemaname = 'public'")
        assert tables.fetchall() == []
    migrated = run("migrate", env=env)

    for done in refused:
        assert 3 == done.returncode
        assert "database is behind" in done.stderr
        assert "run: oxcart migrate" in done.stderr
    assert 0 == migrated.returncode
    async with open_system(Settings.from_env(env)) as system:
        assert await system.database.ping() >= 0


async def test_development_migrates_at_the_start(
    tmp_path: Path, valkey_url: str, prefix: str, postgres_url: str
) -> None:
    settings = Settings(
        redis_url=valkey_url, prefix=prefix, database_url=postgres_url, data_dir=tmp_path
    )

    async with open_system(settings):
        pass

    with psycopg.connect(postgres_url) as connection:
        assert connection.execute("SELECT * FROM oxcart_migrations").fetchall() == [(KNOWN[-1],)]
