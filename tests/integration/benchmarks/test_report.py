"""The report: medians, ratios, the lines to reach, and a page that is replaced in place."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from benchmarks.lines import judge
from benchmarks.report import END, PAGE, START, ReportFailed, write_report
from benchmarks.summary import Summary

HEADER = {
    "date": "2026-01-02T03:04:05+00:00",
    "command": "python -m benchmarks run",
    "machine": {"processor": "P", "cores": 2, "memory_gib": 4.0, "system": "Linux"},
    "load": [0.1, 0.2, 0.3],
    "commit": None,
}


def _rows(system: str, *rates: float, workload: str = "noop") -> list[dict[str, Any]]:
    place = {"workload": workload, "case": "", "concurrency": 100, "jobs": 10}
    return [
        {"system": system, **place, "repetition": number, "process_per_s": rate}
        for number, rate in enumerate(rates, 1)
    ]


def _file(path: Path, rows: list[dict[str, Any]], **header: str) -> Path:
    path.write_text(json.dumps({"header": {**HEADER, **header}, "rows": rows}), encoding="utf-8")
    return path


def test_lines_are_judged_by_the_ratio_of_medians(tmp_path: Path) -> None:
    rows = [
        *_rows("oxcart", 50_000, 10, 40_000),
        *_rows("bullmq-node", 10_000, 20_000, 1),
        *_rows("floor", 200_000, 200_000, 200_000),
    ]

    verdicts = judge(Summary.of([_file(tmp_path / "run.json", rows)]))

    assert [(v.line.wanted, v.value, v.is_met) for v in verdicts] == [
        ("2.5 x bullmq-node", 4.0, True),
        ("0.35 of the floor", 0.2, False),
    ]


def test_each_workload_is_taken_from_the_newest_run_that_has_it(tmp_path: Path) -> None:
    old = [*_rows("oxcart", 1), *_rows("oxcart", 2, workload="io")]
    files = [
        _file(tmp_path / "a.json", _rows("oxcart", 3), date="2026-02-01T00:00:00+00:00"),
        _file(tmp_path / "b.json", old, date="2026-01-01T00:00:00+00:00"),
    ]

    summary = Summary.of(files)

    assert summary.median(("noop", "", 100), "oxcart", "process_per_s") == 3
    assert summary.median(("io", "", 100), "oxcart", "process_per_s") == 2


def test_page_and_chart_are_written_in_place(tmp_path: Path) -> None:
    page, chart = tmp_path / "page.md", tmp_path / "chart.svg"
    page.write_text(f"before\n{START}\nold\n{END}\nafter\n", encoding="utf-8")
    rows = [*_rows("oxcart", 41_000, 42_000, 43_000), *_rows("bullmq-node", 10_500)]
    failed = {**_rows("floor", 1)[0], "error": "no floor"}
    run = _file(tmp_path / "run.json", [*rows, failed])

    write_report([run], page, chart)
    once = page.read_text(encoding="utf-8")
    write_report([run], page, chart)

    assert page.read_text(encoding="utf-8") == once
    assert once.startswith(f"before\n{START}\n")
    assert once.endswith(f"{END}\nafter\n")
    assert "| concurrency 100 | **oxcart** | 42,000 (41,000 to 43,000) |" in once
    assert "| 4.00 |" in once
    assert "- floor, noop: no floor" in once
    assert "old" not in once
    bars = ElementTree.parse(chart).iter("{http://www.w3.org/2000/svg}rect")  # noqa: S314
    assert {bar.get("class") for bar in bars} >= {"oxcart", "peer"}


def test_no_results_are_told(tmp_path: Path) -> None:
    with pytest.raises(ReportFailed, match="no results"):
        write_report([], tmp_path / "page.md", tmp_path / "chart.svg")


def test_page_of_the_documentation_has_the_place() -> None:
    text = PAGE.read_text(encoding="utf-8")

    assert text.index(START) < text.index(END)
