"""The command: ``python -m benchmarks {run,prepare,report,list}``."""

from __future__ import annotations

import argparse
import json
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import machine
from benchmarks.environments import EnvironmentMissing, prepare
from benchmarks.report import ReportFailed, table_of, write_report
from benchmarks.runner import Plan, run
from benchmarks.servers import ServerChoice, ServerMissing
from benchmarks.systems import System, UnknownSystem, all_systems, find_systems
from benchmarks.workload import Workload
from benchmarks.workloads import NAMES, UnknownWorkload, find_workloads

RESULTS = Path(__file__).parent / "results"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; gives its exit code: 0 done, 1 something failed, 2 wrong usage."""
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        return int(options.action(options))
    except (UnknownSystem, UnknownWorkload, ServerMissing) as error:
        parser.error(str(error))


def _stop(number: int, _frame: object) -> None:
    sys.exit(128 + number)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_run(commands.add_parser("run", help="measure"))
    preparing = commands.add_parser("prepare", help="build the systems' environments")
    preparing.add_argument("--systems", default="all", help="comma-separated; default: all")
    preparing.set_defaults(action=_prepare)
    reporting = commands.add_parser("report", help="write the table and the chart of the docs")
    reporting.add_argument("files", nargs="*", type=Path, help="default: those in results/")
    reporting.set_defaults(action=_report)
    listing = commands.add_parser("list", help="show workloads and systems")
    listing.set_defaults(action=_list)
    return parser


def _add_run(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--workload", default="noop", help=f"all, or of {','.join(NAMES)}")
    parser.add_argument("--systems", help="comma-separated, or all; default: the workload's own")
    parser.add_argument("--jobs", type=int, help="how many jobs; default: the workload's own")
    parser.add_argument("--concurrency", type=int, help="default: each of the workload's own")
    parser.add_argument("--repeat", type=int, help="repetitions; default: the workload's own")
    parser.add_argument("--limit", type=float, default=300.0, help="seconds an adapter may take")
    parser.add_argument("--server", choices=("valkey", "redis"), default="valkey")
    parser.add_argument("--redis-url", help="a running server with an empty database instead")
    parser.add_argument("--smoke", action="store_true", help="tiny sizes: only whether it works")
    parser.add_argument("--json", action="store_true", help="one JSON object a line on stdout")
    parser.add_argument("--save", metavar="NAME", help="keep the results as results/NAME.json")
    parser.set_defaults(action=_run)


def _run(options: argparse.Namespace) -> int:
    output = Output(is_json=options.json)
    workloads = find_workloads(options.workload)
    plans = [(workload, _plan(workload, options)) for workload in workloads]
    output.header(machine.header(options.server if not options.redis_url else "given"))
    for workload, plan in plans:
        for row in run(workload, plan):
            output.row(row, workload)
        output.end(workload)
        if options.save:  # After each, so that a run that is cut short keeps what it has.
            output.save(RESULTS / f"{options.save}.json")
    return 1 if output.has_errors else 0


def _plan(workload: Workload, options: argparse.Namespace) -> Plan:
    return Plan(
        systems=find_systems(options.systems or workload.systems),
        choice=ServerChoice(options.server, options.redis_url),
        repeat=options.repeat,
        jobs=options.jobs,
        concurrency=options.concurrency,
        limit_s=options.limit,
        is_smoke=options.smoke,
    )


@dataclass
class Output:
    """Tells the results as they come, and keeps them.

    Attributes:
        is_json: as JSON on stdout; otherwise as text.
    """

    is_json: bool

    def __post_init__(self) -> None:
        self._header: dict[str, Any] = {}
        self._rows: list[dict[str, Any]] = []

    @property
    def has_errors(self) -> bool:
        """Whether something could not be measured."""
        return any("error" in row for row in self._rows)

    def header(self, header: dict[str, Any]) -> None:
        """Tell where and when the run is."""
        self._header = header
        if self.is_json:
            print(json.dumps(header), file=sys.stderr, flush=True)

    def row(self, row: dict[str, Any], workload: Workload) -> None:
        """Tell one measurement."""
        self._rows.append(row)
        text = json.dumps(row) if self.is_json else _line(row, workload)
        print(text, flush=True)

    def end(self, workload: Workload) -> None:
        """A workload is through: tell its medians, unless a program reads."""
        rows = [row for row in self._rows if row["workload"] == workload.name]
        if not self.is_json and any(row["repetition"] > 1 for row in rows):
            print(f"\n{table_of(workload, rows)}\n", flush=True)

    def save(self, path: Path) -> None:
        """Keep the run as a file."""
        path.parent.mkdir(parents=True, exist_ok=True)
        content = {"header": self._header, "rows": self._rows}
        path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def _line(row: dict[str, Any], workload: Workload) -> str:
    label = f"{row['workload']:<10} {row['case'] or row['concurrency']!s:>9} {row['system']:<14}"
    if "error" in row:
        return f"{label} {row['error']}"
    figures = [
        f"{figure.title} {row[figure.key]:,}" for figure in workload.figures if figure.key in row
    ]
    return f"{label} {'  '.join(figures)}"


def _prepare(options: argparse.Namespace) -> int:
    missing = 0
    for system in find_systems(options.systems):
        missing += not _is_prepared(system)
    return 1 if missing else 0


def _is_prepared(system: System) -> bool:
    try:
        environment = prepare(system)
    except EnvironmentMissing as error:
        print(f"{system.name}: {error}", file=sys.stderr)
        return False
    print(f"{system.name}: {environment.command[0]}")
    return True


def _report(options: argparse.Namespace) -> int:
    try:
        written = write_report(options.files or sorted(RESULTS.glob("*.json")))
    except ReportFailed as error:
        print(error, file=sys.stderr)
        return 1
    for path in written:
        print(path)
    return 0


def _list(_options: argparse.Namespace) -> int:
    print("workloads")
    for workload in find_workloads("all"):
        print(f"  {workload.name:<12} {workload.about}")
    print("systems")
    for system in all_systems():
        print(f"  {system.name:<18} {system.about}")
    return 0


if __name__ == "__main__":
    # So that servers and adapters, which are sessions of their own, are ended with it.
    signal.signal(signal.SIGTERM, _stop)
    sys.exit(main())
