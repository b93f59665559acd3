"""The table of ``docs/explanation/reliability.md``, from the saved results."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from tests.faults.catalogue.registry import SCENARIOS, Scenario

PAGE = Path(__file__).parents[3] / "docs" / "explanation" / "reliability.md"
BEGIN, END = "<!-- results: begin -->", "<!-- results: end -->"
HIDDEN = {"acknowledged", "lost", "innocents_failed", "completed_twice"}
"""Figures that have a column, or none because they are 0 in every row that kept its promise."""
LONGEST_LINE = 200


def write_table(latest: Path, soaks: Path) -> None:
    """Replace the part of the page between the markers."""
    page = PAGE.read_text(encoding="utf-8")
    head, _, rest = page.partition(BEGIN)
    _, _, tail = rest.partition(END)
    lines = [*_soak_lines(read_results(soaks)), *_table_lines(newest(read_results(latest)))]
    PAGE.write_text(head + BEGIN + "\n\n" + "\n".join(lines) + "\n" + END + tail, encoding="utf-8")


def read_results(path: Path) -> list[dict[str, Any]]:
    """Every saved result, oldest first."""
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def newest(results: Sequence[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """The last full-size result of each scenario."""
    return {result["scenario"]: result for result in results if not result["short"]}


def _table_lines(results: Mapping[str, dict[str, Any]]) -> Iterator[str]:
    found = [results[name] for name in SCENARIOS if name in results]
    kept = sum(result["ok"] for result in found)
    dates = sorted(result["date"][:10] for result in found)
    if found:
        span = dates[0] if dates[0] == dates[-1] else f"{dates[0]} to {dates[-1]}"
        yield (
            f"{kept} of {len(found)} scenarios kept their promise, measured {span}"
            " by `make faults`."
        )
        versions = ", ".join(f"{name} {number}" for name, number in found[-1]["versions"].items())
        yield f"Versions: {versions}."
        yield ""
    for group, scenarios in groupby(SCENARIOS.values(), key=lambda one: one.group):
        yield f"### {group}"
        yield ""
        yield "| scenario | fault | promise | measured |"
        yield "|---|---|---|---|"
        for one in scenarios:
            yield _row(one, results.get(one.name))
        yield ""


def _row(one: Scenario, result: Mapping[str, Any] | None) -> str:
    if result is None:
        measured = "not run"
    elif "not_run" in result:
        measured = f"not run: {result['not_run']}"
    elif result["ok"]:
        measured = _figures(result["figures"])
    else:
        measured = f"**broken**: {_problem(result)}".replace("|", "/")
    row = f"| `{one.name}` | {one.fault} | {one.promise} | "
    room = LONGEST_LINE - len(row) - 2
    if len(measured) > room:
        measured = measured[: max(0, room - 1)].rpartition(",")[0] or measured[: max(0, room - 1)]
    return f"{row}{measured} |"


def _figures(figures: Mapping[str, Any]) -> str:
    shown = {name: value for name, value in figures.items() if name not in HIDDEN}
    promised = {name: value for name, value in shown.items() if name.endswith("_s")}
    others = {name: value for name, value in shown.items() if name not in promised}
    jobs = figures.get("acknowledged", 0)
    parts = [f"{_words(name)} {_value(value)} s" for name, value in promised.items()]
    parts += [f"{jobs:,} jobs"]
    parts += [f"{_words(name)} {value}" for name, value in others.items() if value]
    return ", ".join(parts).replace("|", "/")


def _words(name: str) -> str:
    return name.removesuffix("_s").replace("_", " ")


def _value(value: object) -> str:
    """A figure in seconds, or the list of them."""
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _problem(result: Mapping[str, Any]) -> str:
    """The first problem without the place in the harness."""
    return re.sub(r"^AssertionError at \S+ ", "", result["problems"][0].splitlines()[0])


def _soak_lines(results: Sequence[dict[str, Any]]) -> Iterator[str]:
    if not results:
        return
    yield "### Soaks"
    yield ""
    columns = ("date", "seed", "acknowledged", "faults", "lost", "innocents failed")
    yield f"| {' | '.join(columns)} | completed twice | jobs/s | result |"
    yield "|---|---|---|---|---|---|---|---|---|"
    for result in results:
        one = result["figures"]
        kept = "kept" if result["ok"] else f"**broken**: {_problem(result)}"
        yield (
            f"| {result['date']} | {result['seed']} | {one['acknowledged']:,}"
            f" | {sum(one['faults'].values())} | {one['lost']} | {one['innocents_failed']}"
            f" | {one['completed_twice']} | {one['jobs_per_s']:,} | {kept} |"
        )
    yield ""
