"""The page about PostgreSQL with Prisma, followed from top to bottom on an empty database."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest
from sqlalchemy import select

from oxcart.database import Database
from oxcart.database.schema import prepare_schema
from oxcart.database.tables import EXPORT_JOB_ADDITIONS, export_job, metadata, own_metadata

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = Path(__file__).parents[3] / "docs" / "how-to" / "postgresql-with-prisma.md"
TEXT = PAGE.read_text("utf-8")
FENCE = re.compile(r"^```(sql|console)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
COMMAND = re.compile(r"^\$ oxcart (.+)\n((?:(?!\$ ).*\n)*)", re.MULTILINE)


@pytest.fixture
def page_url(postgres_url: str) -> Iterator[str]:
    """An empty database; the role that the page makes is removed with it."""
    yield postgres_url
    with psycopg.connect(postgres_url) as owner:
        owner.execute("DROP OWNED BY oxcart_app")
        owner.execute("DROP ROLE oxcart_app")


async def test_page_does_what_it_says(page_url: str) -> None:
    env = {"DATABASE_URL": page_url, "PATH": os.environ["PATH"]}
    *blocks, (_, down) = FENCE.findall(TEXT)
    for language, body in blocks:
        if language == "sql":
            with psycopg.connect(page_url) as connection:
                connection.execute(body.encode())
        else:
            play(body, env)

    async with Database(page_url.replace("postgres@", "oxcart_app@")) as database:
        await prepare_schema(database, may_migrate=False)
        async with database.write() as connection:
            found = await connection.scalars(select(export_job.c.id).order_by(export_job.c.id))
            assert found.all() == ["cafter", "cbefore"]
            await connection.execute(export_job.update().values(attempts=1))
            for name, table in {**metadata.tables, **own_metadata.tables}.items():
                assert name in TEXT
                await connection.execute(select(table).limit(1))
    play(down, env)
    with psycopg.connect(page_url) as connection:
        left = connection.execute('SELECT id, "userId" FROM "ExportJob" ORDER BY id').fetchall()
    assert left == [("cafter", "user_1"), ("cbefore", "user_1")]


def play(body: str, env: dict[str, str]) -> None:
    commands = COMMAND.findall(body)
    assert commands
    for command, expected in commands:
        done = subprocess.run(
            [sys.executable, "-m", "oxcart", *command.split()],
            env=env,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == (0), f"$ oxcart {command}\n{done.stdout}{done.stderr}"
        if expected:
            assert done.stdout == expected


def test_page_names_every_column_that_is_added() -> None:
    (model,) = re.findall(r"```prisma\n(.*?)```", TEXT, re.DOTALL)

    assert re.findall(r"^ +(\w+) +\w+\?$", model, re.MULTILINE) == list(EXPORT_JOB_ADDITIONS)
