"""A real spreadsheet program finds no formula in an export, whatever separator it reads with."""

from __future__ import annotations

import csv
import itertools
import os
import re
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from oxcart.exports.tabular import Heading, Kind, TableRows
from oxcart.exports.writers.csv_rows import csv_chunks

if TYPE_CHECKING:
    from pathlib import Path

SIGNS = ["=1+1", "+1+1", "-1+A1", "@SUM(A1)", "=cmd|'/C calc'!A0", "=HYPERLINK(A1)"]
BEFORE = ["", "x", 'x"', "x'", "'", '"', "x,", "x, "]
BETWEEN = ["", ";", "\t", "|", "\r\n", "\n", "\r", "; ", ";\t", ';"', "||", "\n\t"]
CELLS = [
    before + between + sign + after
    for before, between, sign in itertools.product(BEFORE, BETWEEN, SIGNS)
    for after in ("", ";y", "\ty")
]
COLUMNS = 3
ROWS = list(zip(*[iter(CELLS)] * COLUMNS, strict=True))
HEADINGS = tuple(Heading(f"text{number}", Kind.TEXT) for number in range(COLUMNS))


@pytest.fixture(scope="module")
def soffice() -> str:
    found = shutil.which("soffice")
    if found is None:
        message = "LibreOffice is not installed: apt install libreoffice-calc-nogui"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    return found


@pytest.mark.parametrize(
    "separator", [",", ";", "\t", "|"], ids=["comma", "semicolon", "tab", "pipe"]
)
def test_no_cell_is_read_as_a_formula(soffice: str, separator: str, tmp_path: Path) -> None:
    """The same cells without the guard are formulas, so the program would have found them."""
    table = TableRows(name="members", headings=HEADINGS, batches=[ROWS])
    (tmp_path / "guarded.csv").write_bytes(b"".join(csv_chunks(table)))
    with (tmp_path / "bare.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\r\n").writerows(ROWS)

    subprocess.run(
        [
            soffice,
            f"-env:UserInstallation={(tmp_path / 'profile').as_uri()}",
            *("--headless", "--convert-to", "fods", "--outdir", str(tmp_path)),
            f"--infilter=CSV:{ord(separator)},34,76,1",
            *(str(tmp_path / f"{name}.csv") for name in ("guarded", "bare")),
        ],
        check=True,
        capture_output=True,
        timeout=120,
    )

    assert len(formulas(tmp_path / "bare.fods")) > len(SIGNS)
    assert formulas(tmp_path / "guarded.fods") == []


def formulas(path: Path) -> list[str]:
    return re.findall(r'table:formula="([^"]*)"', path.read_text("utf-8"))
