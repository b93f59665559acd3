"""WIKI_PAGES: the wiki. Everybody gets the published pages, staff all of them."""

from __future__ import annotations

from sqlalchemy import true

from oxcart.database.tables import institute, uni_page, university
from oxcart.database.types import ExportType
from oxcart.exports.datasets.declared import Column, Dataset, Part
from oxcart.exports.datasets.filters import Filter
from oxcart.exports.writers.csv_file import CsvFile

_LONG_TEXT_BATCH = 100

WIKI_PAGES = Dataset(
    type=ExportType.WIKI_PAGES,
    public_rows=uni_page.c.published == true(),
    writer=CsvFile(),
    parts=(
        Part(
            name="wiki-pages",
            source=uni_page.outerjoin(
                university, uni_page.c.universityId == university.c.id
            ).outerjoin(institute, uni_page.c.instituteId == institute.c.id),
            key=uni_page.c.id,
            columns=(
                Column("id", uni_page.c.id),
                Column("name", uni_page.c.name),
                Column("slug", uni_page.c.slug),
                Column("university", university.c.name),
                Column("institute", institute.c.name),
                Column("published", uni_page.c.published),
                Column("keywords", uni_page.c.keywords),
                Column("content", uni_page.c.content),
                Column("universityId", uni_page.c.universityId),
                Column("instituteId", uni_page.c.instituteId),
                Column("labId", uni_page.c.labId),
                Column("createdAt", uni_page.c.createdAt),
                Column("updatedAt", uni_page.c.updatedAt),
            ),
            batch_rows=_LONG_TEXT_BATCH,
        ),
    ),
    filters=(
        Filter(name="id", column=uni_page.c.id),
        Filter(name="name", column=uni_page.c.name),
        Filter(name="slug", column=uni_page.c.slug),
        Filter(name="published", column=uni_page.c.published, kind=bool, staff_values=(False,)),
        Filter(name="universityId", column=uni_page.c.universityId, is_nullable=True),
        Filter(name="instituteId", column=uni_page.c.instituteId, is_nullable=True),
        Filter(name="labId", column=uni_page.c.labId, is_nullable=True),
    ),
)
