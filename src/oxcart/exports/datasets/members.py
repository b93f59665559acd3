"""MEMBERS: the club's users, for staff."""

from __future__ import annotations

from oxcart.database.tables import university, user
from oxcart.database.types import ExportType, Role
from oxcart.exports.datasets.declared import Column, Dataset, Part
from oxcart.exports.datasets.filters import Filter
from oxcart.exports.writers.csv_file import CsvFile

MEMBERS = Dataset(
    type=ExportType.MEMBERS,
    is_staff_only=True,
    writer=CsvFile(),
    parts=(
        Part(
            name="members",
            source=user.outerjoin(university, user.c.universityId == university.c.id),
            key=user.c.id,
            columns=(
                Column("id", user.c.id),
                Column("email", user.c.email),
                Column("name", user.c.name),
                Column("role", user.c.role),
                Column("university", university.c.name),
                Column("powerScore", user.c.powerScore),
                Column("createdAt", user.c.createdAt),
            ),
        ),
    ),
    filters=(
        Filter(name="id", column=user.c.id),
        Filter(name="email", column=user.c.email),
        Filter(name="name", column=user.c.name, is_nullable=True),
        Filter(name="role", column=user.c.role, choices=tuple(Role)),
        Filter(name="universityId", column=user.c.universityId, is_nullable=True),
        Filter(name="powerScore", column=user.c.powerScore, kind=int),
    ),
)
