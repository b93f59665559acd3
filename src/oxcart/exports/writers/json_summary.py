"""A small JSON file: one object."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from oxcart.exports.writers.values import iso_time

if TYPE_CHECKING:
    from collections.abc import Iterable

    from oxcart.exports.tabular import Origin, TableRows
    from oxcart.exports.writers.protocol import Sink


class JsonSummary:
    """Writes the only row of the only table as a JSON object that says what it is and of when."""

    extension = ".json"
    media_type = "application/json"

    def write(self, sink: Sink, tables: Iterable[TableRows], origin: Origin) -> None:
        """Write the row; more rows than one are an error, none gives no figures."""
        (table,) = tables
        names = [heading.name for heading in table.headings]
        summary: dict[str, Any] = {
            "type": origin.type,
            "userId": origin.user_id,
            "exportedAt": iso_time(origin.as_of),
        }
        for row in (row for batch in table.batches for row in batch):
            summary |= dict(zip(names, row, strict=True))
        sink.write(msgspec.json.format(msgspec.json.encode(summary), indent=2) + b"\n")
