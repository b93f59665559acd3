"""A database as the site's Prisma made it, and what Prisma does with it."""

from __future__ import annotations

import subprocess
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
from tests.integration.database.postgres import installed

if TYPE_CHECKING:
    from collections.abc import Iterable

SITE = Path(__file__).with_name("prisma.sql")
INSTANT = datetime(2026, 1, 2, 3, 4, 5, 678000)  # noqa: DTZ001  # as Prisma writes it
INSERT = """
INSERT INTO "public"."ExportJob" ("id","userId","type","status","createdAt")
VALUES (%s, 'user_1', CAST('MEMBERS' AS "public"."ExportType"),
        CAST('PENDING' AS "public"."JobStatus"), %s)
RETURNING "public"."ExportJob"."id", "public"."ExportJob"."userId",
    "public"."ExportJob"."type"::text, "public"."ExportJob"."status"::text,
    "public"."ExportJob"."fileUrl", "public"."ExportJob"."createdAt",
    "public"."ExportJob"."completedAt"
"""


def make_site(url: str) -> None:
    """Make the site's tables, with rows."""
    with psycopg.connect(url) as connection:
        connection.execute(SITE.read_text(encoding="utf-8").encode())


def insert_as_prisma(url: str, export_id: str) -> Any:
    """Create an export as the site's client does; what it gets back."""
    with psycopg.connect(url) as connection:
        return connection.execute(INSERT, [export_id, INSTANT]).fetchone()


def dump(url: str, *, without: Iterable[str] = ()) -> str:
    """All of a database as SQL: types, tables, constraints, rows.

    Args:
        url: the database.
        without: tables to leave out.
    """
    done = subprocess.run(
        [
            installed() / "bin" / "pg_dump",
            "--inserts",
            "--no-owner",
            *(f'--exclude-table="{name}"' for name in without),
            url,
        ],
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    )
    # pg_dump guards its scripts with a random word.
    lines = (line for line in done.stdout.splitlines() if "restrict " not in line)
    return "\n".join(lines)
