"""Writes what was measured into the documentation: tables and a chart."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks.chart import draw
from benchmarks.lines import NODE, OXCART, judge
from benchmarks.summary import Place, Spread, Summary
from benchmarks.systems import ROOT, all_systems
from benchmarks.workload import Figure, Workload
from benchmarks.workloads import find_workloads

PAGE = ROOT / "docs" / "explanation" / "performance.md"
CHART = PAGE.with_suffix(".svg")
START, END = "<!-- figures: start -->", "<!-- figures: end -->"
HUNDRED = 100


class ReportFailed(Exception):
    """The report cannot be written; says what to do."""


def write_report(paths: Sequence[Path], page: Path = PAGE, chart: Path = CHART) -> list[Path]:
    """Write tables and chart from results' files; gives what was written.

    Raises:
        ReportFailed: there are no results, or the page has no place for them.
    """
    summary = Summary.of(paths)
    if not summary.rows:
        raise ReportFailed("there are no results: run `python -m benchmarks run --save NAME` first")
    text = page.read_text(encoding="utf-8")
    if START not in text or END not in text:
        raise ReportFailed(f"{page} has no {START} and {END}")
    before, _, rest = text.partition(START)
    after = rest.partition(END)[2]
    page.write_text(f"{before}{START}\n{figures(summary)}\n{END}{after}", encoding="utf-8")
    chart.write_text(draw(summary), encoding="utf-8")
    return [page, chart]


def figures(summary: Summary) -> str:
    """The generated part of the page."""
    parts = [
        f"![Bars: oxcart beside its peers]({CHART.name})",
        _lines(summary),
        *_tables(summary),
        _lacks(summary),
        _errors(summary),
        _runs(summary),
    ]
    return "\n\n".join(part for part in parts if part)


def table_of(workload: Workload, rows: list[dict[str, Any]]) -> str:
    """The medians of a workload, for a terminal."""
    summary = Summary(rows=rows)
    return _workload(summary, workload, summary.places(workload.name))


def _lines(summary: Summary) -> str:
    rows = [
        (
            verdict.line.what,
            verdict.line.wanted,
            f"{_number(verdict.value)} {verdict.line.unit}",
            "yes" if verdict.is_met else "**no**",
        )
        for verdict in judge(summary)
    ]
    return "### Lines to reach\n\n" + _table(("what", "at least", "measured", "met"), rows)


def _tables(summary: Summary) -> Iterator[str]:
    for workload in find_workloads("all"):
        places = summary.places(workload.name)
        if places:
            table = _workload(summary, workload, places)
            yield f"### {workload.name}\n\n{workload.about}\n\n{table}"


def _workload(summary: Summary, workload: Workload, places: Sequence[Place]) -> str:
    main, *_ = workload.figures
    head = ["case", "system", *(figure.title for figure in workload.figures), "x bullmq-node"]
    rows = [
        [
            place[1] or f"concurrency {place[2]}",
            f"**{system}**" if system == OXCART else system,
            *(_cell(summary.spread(place, system, figure.key)) for figure in workload.figures),
            _beside_node(summary, place, system, main),
        ]
        for place in places
        for system in _ordered(summary, place, main)
    ]
    return _table(head, rows)


def _ordered(summary: Summary, place: Place, figure: Figure) -> list[str]:
    """The systems, best first."""
    found = {name: summary.median(place, name, figure.key) for name in summary.systems(place)}
    measured = {name: value for name, value in found.items() if value is not None}
    return sorted(measured, key=measured.__getitem__, reverse=not figure.is_less_better)


def _beside_node(summary: Summary, place: Place, system: str, figure: Figure) -> str:
    node = summary.median(place, NODE, figure.key)
    own = summary.median(place, system, figure.key)
    return f"{own / node:.2f}" if node and own is not None else ""


def _cell(spread: Spread | None) -> str:
    if spread is None:
        return ""
    if spread.least == spread.most:
        return _number(spread.median)
    return f"{_number(spread.median)} ({_number(spread.least)} to {_number(spread.most)})"


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= HUNDRED else f"{value:,.3g}"


def _lacks(summary: Summary) -> str:
    measured = {row["system"] for row in summary.rows}
    rows = [
        (system.name, ", ".join(system.lacks), _versions(summary, system.name))
        for system in all_systems()
        if system.name in measured
    ]
    head = ("system", "does not have", "ran with")
    return "### What ran\n\n" + _table(head, rows)


def _versions(summary: Summary, system: str) -> str:
    versions = summary.versions().get(system, {})
    return ", ".join(f"{name} {version}" for name, version in versions.items())


def _errors(summary: Summary) -> str:
    errors = summary.errors()
    return (
        "### Could not be measured\n\n" + "\n".join(f"- {error}" for error in errors)
        if errors
        else ""
    )


def _runs(summary: Summary) -> str:
    rows = [
        (
            header["date"],
            f"`{header['command']}`",
            f"{header['machine']['cores']} x {header['machine']['processor']}, "
            f"{header['machine']['memory_gib']} GiB, {header['machine']['system']}",
            " ".join(str(load) for load in header["load"]),
            header["commit"] or "",
        )
        for header in (run.header for run in summary.runs)
    ]
    return "### Runs\n\n" + _table(("date", "command", "machine", "load", "commit"), rows)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [_row(head), _row(["---"] * len(head)), *(_row(row) for row in rows)]
    return "\n".join(lines)


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |"
