from __future__ import annotations

import csv
import hashlib
import io
import json
import zipfile
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oxcart.exports.tabular import Heading, Kind, Origin, TableRows
from oxcart.exports.writers.csv_file import CsvFile
from oxcart.exports.writers.guard import guarded
from oxcart.exports.writers.json_summary import JsonSummary
from oxcart.exports.writers.zip_archive import ZipArchive

ORIGIN = Origin(
    type="MEMBERS", user_id="user_1", as_of=datetime(2026, 11, 24, 12, 30, 1, 5000, tzinfo=UTC)
)
HEADINGS = (
    Heading("text", Kind.TEXT),
    Heading("number", Kind.NUMBER),
    Heading("boolean", Kind.BOOLEAN),
    Heading("time", Kind.TIME),
    Heading("json", Kind.JSON),
)


def table(*batches: list[tuple[Any, ...]], headings: tuple[Heading, ...] = HEADINGS) -> TableRows:
    return TableRows(name="things", headings=headings, batches=batches)


def csv_of(*batches: list[tuple[Any, ...]], headings: tuple[Heading, ...] = HEADINGS) -> bytes:
    sink = io.BytesIO()
    CsvFile().write(sink, [table(*batches, headings=headings)], ORIGIN)
    return sink.getvalue()


def test_csv_spells_each_kind_of_value() -> None:
    noon = datetime(2026, 11, 24, 12, 0, 0, 120_000, tzinfo=UTC)

    written = csv_of(
        [('a "b", c', -5, True, noon, ["x", "ü"])], [("two\nlines", 0.5, False, None, {"a": 1})]
    )
    assert written == (
        b"text,number,boolean,time,json\r\n"
        b'"a ""b"", c",-5,true,2026-11-24T12:00:00.120Z,"[""x"",""\xc3\xbc""]"\r\n'
        b'"two\nlines",0.5,false,,"{""a"":1}"\r\n'
    )


def test_csv_leaves_null_empty_and_has_a_header_without_rows() -> None:
    assert csv_of([(None, None, None, None, None)]).endswith(b"\r\n,,,,\r\n")
    assert csv_of() == b"text,number,boolean,time,json\r\n"


def test_csv_guards_text_and_never_numbers() -> None:
    rows = csv_of([("-5", -5, None, None, None)]).decode().splitlines()
    assert rows[1] == "'-5,-5,,,"


def test_csv_survives_half_a_surrogate_pair() -> None:
    assert b"a?b" in csv_of([("x", 1, None, None, ["a\ud800b"])])


@given(
    st.lists(
        st.tuples(
            st.text(st.characters(exclude_categories=["Cs"])),
            st.text(st.characters(exclude_categories=["Cs"])),
        )
    )
)
def test_a_csv_reader_gets_every_guarded_text_back(rows: list[tuple[str, str]]) -> None:
    headings = (Heading("one", Kind.TEXT), Heading("two", Kind.TEXT))

    text = csv_of(rows, headings=headings).decode()
    read = list(csv.reader(io.StringIO(text, newline="")))
    assert read[1:] == [[guarded(one), guarded(two)] for one, two in rows]


def test_summary_is_one_object_that_says_what_it_is() -> None:
    sink = io.BytesIO()
    headings = (Heading("revisions", Kind.NUMBER), Heading("referrals", Kind.NUMBER))
    JsonSummary().write(sink, [table([(7, 3)], headings=headings)], ORIGIN)

    assert json.loads(sink.getvalue()) == {
        "type": "MEMBERS",
        "userId": "user_1",
        "exportedAt": "2026-11-24T12:30:01.005Z",
        "revisions": 7,
        "referrals": 3,
    }


def test_archive_has_a_file_a_table_and_a_manifest_that_fits() -> None:
    sink = io.BytesIO()
    other = TableRows(name="empty", headings=HEADINGS[:1], batches=[])
    ZipArchive().write(
        sink, [table([("=1", 1, True, None, None)], [("b", 2, None, None, None)]), other], ORIGIN
    )

    archive = zipfile.ZipFile(io.BytesIO(sink.getvalue()))
    assert archive.testzip() is None
    assert archive.namelist() == ["things.csv", "empty.csv", "manifest.json"]
    manifest = json.loads(archive.read("manifest.json"))
    assert manifest["format"] == "oxcart-archive/1"
    assert manifest["subject"] == {"userId": "user_1"}
    assert manifest["asOf"] == "2026-11-24T12:30:01.005Z"
    assert manifest["csv"]["formulaGuard"] is True
    for entry, rows in zip(manifest["files"], [2, 0], strict=True):
        content = archive.read(entry["path"])
        assert (entry["rows"], entry["bytes"]) == (rows, len(content))
        assert entry["sha256"] == hashlib.sha256(content).hexdigest()
    assert manifest["files"][1]["columns"] == [{"name": "text", "kind": "text"}]


class _OnlyWrites:
    """A sink as strict as the protocol: no seeking, no telling."""

    def __init__(self) -> None:
        self.data = b""

    def write(self, data: bytes, /) -> int:
        self.data += bytes(data)
        return len(data)


@pytest.mark.parametrize("writer", [CsvFile(), ZipArchive()])
def test_writers_need_nothing_but_write(writer: CsvFile | ZipArchive) -> None:
    sink = _OnlyWrites()
    writer.write(sink, [table([("a", 1, True, None, None)])], ORIGIN)
    assert len(sink.data) > 40


def test_an_error_among_the_rows_comes_out_of_the_archive() -> None:
    def broken() -> Any:
        yield [("a", 1, True, None, None)]
        raise RuntimeError("the database went away")

    rows = TableRows(name="things", headings=HEADINGS, batches=broken())
    with pytest.raises(RuntimeError, match="went away"):
        ZipArchive().write(io.BytesIO(), [rows], ORIGIN)
