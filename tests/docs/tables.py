"""Reads the tables of a page: what stands in their columns, by the heading above them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

_HEADING = re.compile(r"^#+ (.+)$")
_RULE = re.compile(r"^\|[-|]+\|$")
_CODE = re.compile(r"`([^`]+)`")


@dataclass(frozen=True, slots=True)
class Table:
    """A table of a page.

    Attributes:
        heading: the heading above it.
        columns: what its columns are called.
        rows: its cells.
    """

    heading: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def names(self, column: int = 0) -> list[str]:
        """The names in code style in a column, in order."""
        return [name for row in self.rows for name in _CODE.findall(row[column])]

    def by_name(self, column: int) -> dict[str, list[str]]:
        """What each name of the first column has in another one."""
        return {
            name: _CODE.findall(row[column]) for row in self.rows for name in _CODE.findall(row[0])
        }


def tables_of(page: Path) -> list[Table]:
    """All tables of a page."""
    tables: list[Table] = []
    heading, block = "", []
    for line in [*page.read_text(encoding="utf-8").splitlines(), ""]:
        if line.startswith("|"):
            block.append(line)
            continue
        if block:
            head, *rows = (_cells(row) for row in block if not _RULE.match(row))
            tables.append(Table(heading, head, tuple(rows)))
            block = []
        if found := _HEADING.match(line):
            heading = found[1]
    return tables


def _cells(row: str) -> tuple[str, ...]:
    return tuple(cell.strip() for cell in row.strip("|").split("|"))
