"""Fills an empty development database with a believable club, the same one for the same seed."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING

from sqlalchemy import select

from oxcart.database.errors import DatabaseNotEmpty
from oxcart.database.migrations.runner import upgrade
from oxcart.database.sample_club import Club, ClubSize
from oxcart.database.tables import metadata

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Connection

    from oxcart.database.engine import Database

_BATCH = 2_000


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleReport:
    """What was put into the database."""

    row_counts: Mapping[str, int]
    """Rows by table, in the order in which they went in."""


def fill_with_sample(
    database: Database, *, seed: int = 1, size: ClubSize | None = None
) -> SampleReport:
    """Make the tables if need be and fill them with sample data, all or nothing.

    The club has users of fixed ids for demonstrations: ``user_admin``, ``user_staff``,
    ``user_student`` (with the most data) and ``user_pending``. Blocking: takes a few seconds.

    Args:
        database: an empty one.
        seed: another seed makes another club.
        size: how large; by default 5,000 users with 30,000 revisions of 3,000 pages.

    Raises:
        DatabaseNotEmpty: a table has rows; nothing was changed.
    """
    club = Club(Random(seed), size or ClubSize())  # noqa: S311  # sample data, no secret
    counts: dict[str, int] = {}
    with database.write_sync() as connection:
        upgrade(connection)
        _refuse_rows(connection)
        for table, rows in club.tables():
            for start in range(0, len(rows), _BATCH):
                connection.execute(table.insert(), rows[start : start + _BATCH])
            counts[table.name] = len(rows)
    return SampleReport(row_counts=counts)


def _refuse_rows(connection: Connection) -> None:
    for table in metadata.sorted_tables:
        if connection.execute(select(table.c.id).limit(1)).first() is not None:
            raise DatabaseNotEmpty(table.name)
