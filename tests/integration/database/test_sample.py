from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import func, select
from tests.integration.database.rows import insert_user

from oxcart.database import Database, DatabaseNotEmpty, Users
from oxcart.database.sample import fill_with_sample
from oxcart.database.sample_club import ClubSize
from oxcart.database.tables import metadata, referral, user, wiki_revision

if TYPE_CHECKING:
    from pathlib import Path

SMALL = ClubSize(
    universities=45,
    users=120,
    pages=30,
    revisions=300,
    referrals=50,
    notifications=90,
    bookmarks=40,
)


def contents(database: Database) -> dict[str, list[tuple[object, ...]]]:
    with database.snapshot() as connection:
        return {
            table.name: [
                tuple(row) for row in connection.execute(table.select().order_by(table.c.id))
            ]
            for table in metadata.sorted_tables
        }


async def test_same_seed_makes_the_same_club_and_another_seed_another(tmp_path: Path) -> None:
    clubs = []
    for number, seed in enumerate([7, 7, 8]):
        async with Database(f"sqlite:///{tmp_path / str(number)}") as database:
            fill_with_sample(database, seed=seed, size=SMALL)
            clubs.append(contents(database))

    assert clubs[0] == clubs[1]
    assert clubs[0] != clubs[2]


async def test_sample_fills_either_database(empty_database: Database) -> None:
    report = fill_with_sample(empty_database, size=SMALL)

    rows = contents(empty_database)
    assert {name: len(found) for name, found in rows.items() if name != "ExportJob"} == dict(
        report.row_counts
    )
    assert report.row_counts["WikiRevision"] == 300
    users = Users(empty_database)
    roles = [
        (await users.get(user_id)).role  # type: ignore[union-attr]  # they are there
        for user_id in ("user_admin", "user_staff", "user_student", "user_pending")
    ]
    assert roles == ["ADMIN", "STAFF", "STUDENT", "PENDING_STAFF"]


async def test_nobody_invited_himself(empty_database: Database) -> None:
    fill_with_sample(empty_database, size=SMALL)

    async with empty_database.read() as connection:
        own = select(func.count()).where(referral.c.referrerId == referral.c.refereeId)
        assert await connection.scalar(own) == 0


async def test_database_with_rows_is_refused_and_left_alone(database: Database) -> None:
    await insert_user(database)

    with pytest.raises(DatabaseNotEmpty, match="User"):
        fill_with_sample(database, size=SMALL)
    assert {name: len(rows) for name, rows in contents(database).items() if rows} == {"User": 1}


async def test_the_whole_club_takes_seconds_and_has_hostile_texts(tmp_path: Path) -> None:
    async with Database(f"sqlite:///{tmp_path / 'club.db'}") as database:
        started = time.monotonic()
        report = fill_with_sample(database)
        seconds = time.monotonic() - started
        async with database.read() as connection:
            texts = (
                await connection.scalars(select(wiki_revision.c.content).union(select(user.c.name)))
            ).all()

    assert (report.row_counts["User"], report.row_counts["WikiRevision"]) == (5_000, 30_000)
    assert (report.row_counts["University"], report.row_counts["UniPage"]) == (40, 3_000)
    assert seconds < 30
    everything = "\x00".join(text for text in texts if text)
    for wanted in ('"', ",", "\n", "\t", "🧪", "\x00=", "\x00+", "\x00-", "\x00@"):
        assert wanted in everything
