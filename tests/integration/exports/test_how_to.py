"""Runs every snippet of the how-to guide, as it stands there."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from oxcart.exports.datasets import DATASETS
from oxcart.settings import ENVIRONMENT

if TYPE_CHECKING:
    import pytest

GUIDE = Path(__file__).parents[3] / "docs" / "how-to" / "export-data.md"
TEXT = GUIDE.read_text("utf-8")
SNIPPETS = re.findall(r"^```python\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)


def test_every_snippet_runs(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    valkey_url: str,
    prefix: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name in (name for names in ENVIRONMENT.values() for name in names):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("OXCART_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("OXCART_PREFIX", prefix)
    monkeypatch.setenv("REDIS_URL", valkey_url)
    scope: dict[str, object] = {"__name__": "guide"}

    for snippet in SNIPPETS:
        exec(compile(snippet, str(GUIDE), "exec"), scope)  # noqa: S102  # our own documentation
    users, url, status, link, repeated, cell, undone = capsys.readouterr().out.splitlines()
    assert users == "5000 users"
    assert re.fullmatch(r"COMPLETED \d{4} rows", status)
    assert link.startswith(url + "?expires=")
    assert repeated == "True True"
    assert cell == repr("'=1+1\n'- a list")
    assert undone == "True"


def test_table_of_exports_is_true() -> None:
    for type_, dataset in DATASETS.items():
        (line,) = (row for row in TEXT.splitlines() if row.startswith(f"| `{type_}`"))
        filters = line.split("|")[4]
        assert [filter_.name for filter_ in dataset.filters] == re.findall("`(.*?)`", filters)
        assert dataset.is_staff_only == line.split("|")[3].startswith(" ADMIN and STAFF")


def test_variables_of_the_guide_are_those_that_are_read() -> None:
    known = {name for names in ENVIRONMENT.values() for name in names}
    assert set(re.findall(r"`([A-Z]+_[A-Z_]+)`", TEXT)) - set(DATASETS) <= known
