"""A CSV file of one table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from oxcart.exports.writers.csv_rows import csv_chunks

if TYPE_CHECKING:
    from collections.abc import Iterable

    from oxcart.exports.tabular import Origin, TableRows
    from oxcart.exports.writers.protocol import Sink


class CsvFile:
    """Writes one table as CSV."""

    extension = ".csv"
    media_type = "text/csv; charset=utf-8"

    def write(self, sink: Sink, tables: Iterable[TableRows], origin: Origin) -> None:
        """Write the only table."""
        del origin
        (table,) = tables
        for chunk in csv_chunks(table):
            sink.write(chunk)
