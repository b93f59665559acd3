"""Rows as CSV: RFC 4180, UTF-8, CRLF, a header row, guarded against formula injection."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Any

from oxcart.exports.tabular import Kind
from oxcart.exports.writers.guard import guarded
from oxcart.exports.writers.values import iso_time, json_text, utf8

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from oxcart.exports.tabular import TableRows


def csv_chunks(table: TableRows) -> Iterator[bytes]:
    """Give a table as CSV, the header row first, then a chunk for each batch of rows."""
    yield _encoded([[guarded(heading.name) for heading in table.headings]])
    converters = [_CONVERTERS[heading.kind] for heading in table.headings]
    for batch in table.batches:
        yield _encoded(
            [
                [convert(value) for convert, value in zip(converters, row, strict=True)]
                for row in batch
            ]
        )


def _encoded(rows: Sequence[Sequence[Any]]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\r\n").writerows(rows)
    return utf8(text.getvalue())


def _text(value: Any) -> str:
    return "" if value is None else guarded(str(value))


def _number(value: Any) -> Any:
    return "" if value is None else value


def _boolean(value: Any) -> str:
    return "" if value is None else "true" if value else "false"


def _time(value: Any) -> str:
    return "" if value is None else iso_time(value)


def _json(value: Any) -> str:
    return "" if value is None else guarded(json_text(value))


_CONVERTERS: dict[Kind, Callable[[Any], Any]] = {
    Kind.TEXT: _text,
    Kind.NUMBER: _number,
    Kind.BOOLEAN: _boolean,
    Kind.TIME: _time,
    Kind.JSON: _json,
}
