"""A zip archive of one CSV file a table, with a manifest that describes them."""

from __future__ import annotations

import zipfile
from dataclasses import replace
from typing import IO, TYPE_CHECKING, Any, cast

import msgspec

from oxcart.exports.writers.csv_rows import csv_chunks
from oxcart.exports.writers.hashing import HashingSink
from oxcart.exports.writers.values import iso_time

if TYPE_CHECKING:
    from collections.abc import Iterable

    from oxcart.exports.tabular import Origin, TableRows
    from oxcart.exports.writers.protocol import Sink

FORMAT = "oxcart-archive/1"
"""Raised when a reader of the archive would have to change."""
MANIFEST = "manifest.json"


class _Stream:
    """What ``zipfile`` needs of a file. It cannot seek: then zipfile never goes back."""

    def __init__(self, sink: Sink) -> None:
        self.write = sink.write

    def flush(self) -> None:
        pass


class ZipArchive:
    """Writes every table as a CSV file of its own, then the manifest."""

    extension = ".zip"
    media_type = "application/zip"

    def write(self, sink: Sink, tables: Iterable[TableRows], origin: Origin) -> None:
        """Write the archive, in one go from front to back."""
        stream = cast("IO[bytes]", _Stream(sink))
        with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
            files = [_add_table(archive, table, origin) for table in tables]
            with archive.open(_entry(MANIFEST, origin), "w") as member:
                member.write(_manifest(files, origin))


def _add_table(archive: zipfile.ZipFile, table: TableRows, origin: Origin) -> dict[str, Any]:
    """Write a table and return its entry of the manifest."""
    name = f"{table.name}.csv"
    rows = 0

    def counted() -> Iterable[Any]:
        nonlocal rows
        for batch in table.batches:
            rows += len(batch)
            yield batch

    counting = replace(table, batches=counted())
    with archive.open(_entry(name, origin), "w", force_zip64=True) as member:
        hashing = HashingSink(member)
        for chunk in csv_chunks(counting):
            hashing.write(chunk)
    return {
        "path": name,
        "rows": rows,
        "bytes": hashing.size_bytes,
        "sha256": hashing.sha256,
        "columns": [
            {"name": heading.name, "kind": heading.kind.value} for heading in table.headings
        ],
    }


def _manifest(files: list[dict[str, Any]], origin: Origin) -> bytes:
    manifest = {
        "format": FORMAT,
        "type": origin.type,
        "subject": {"userId": origin.user_id},
        "asOf": iso_time(origin.as_of),
        "csv": {
            "encoding": "utf-8",
            "formulaGuard": True,
            "formulaGuardNote": "an apostrophe stands where a text could begin a formula",
        },
        "files": files,
    }
    return msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n"


def _entry(name: str, origin: Origin) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, date_time=origin.as_of.timetuple()[:6])
    entry.compress_type = zipfile.ZIP_DEFLATED
    entry.external_attr = 0o600 << 16
    return entry
