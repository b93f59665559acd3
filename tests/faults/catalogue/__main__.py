"""The command ``python -m tests.faults.catalogue``: list, run, all, soak, report."""

from __future__ import annotations

import argparse
import json
import secrets
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tests.faults.catalogue import report
from tests.faults.catalogue.registry import SCENARIOS, Scenario
from tests.faults.catalogue.runner import RESULTS, run, write
from tests.faults.catalogue.scenarios import load
from tests.faults.catalogue.soak import Limits, soak

SOAKS = RESULTS / "soaks.jsonl"
LATEST = RESULTS / "scenarios.jsonl"


def main(arguments: Sequence[str]) -> int:
    """Run the command; gives the exit code."""
    load()
    parser = argparse.ArgumentParser(prog="python -m tests.faults.catalogue")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("list")
    commands.add_parser("report")
    for name in ("run", "all"):
        command = commands.add_parser(name)
        if name == "run":
            command.add_argument("names", nargs="+", help="names, or beginnings of names with *")
        command.add_argument("--short", action="store_true", help="with the suite's small sizes")
        command.add_argument("--save", action="store_true", help="keep the results for the table")
        command.add_argument("--jobs", type=int, default=1, help="how many run at a time")
    command = commands.add_parser("soak")
    command.add_argument("--minutes", type=float, default=10)
    command.add_argument("--jobs", type=int, default=0, help="end when so many are acknowledged")
    command.add_argument("--rate", type=float, default=1_500, help="jobs a second to be added")
    command.add_argument("--seed", type=int, default=None)
    command.add_argument("--save", action="store_true", help="keep the result for the table")
    given = parser.parse_args(arguments)
    if given.command == "list":
        return _list()
    if given.command == "report":
        report.write_table(LATEST, SOAKS)
        return 0
    if given.command == "soak":
        return _soak(given)
    chosen = list(SCENARIOS.values()) if given.command == "all" else _chosen(given.names)
    results = _run_all(chosen, jobs=given.jobs, is_short=given.short, save=given.save)
    return _summarize(results)


def _soak(given: argparse.Namespace) -> int:
    seed = secrets.randbelow(100_000) if given.seed is None else given.seed
    _say(f"seed {seed}")
    limits = Limits(minutes=given.minutes, jobs=given.jobs, rate=given.rate)
    result = soak(seed=seed, limits=limits, say=_say)
    if given.save:
        write(result, SOAKS)
    _say(json.dumps(result))
    return 0 if result["ok"] else 1


def _list() -> int:
    for one in SCENARIOS.values():
        short = "short" if one.short is not None else ""
        _say(f"{one.name:32} {short:6} {one.group}: {one.fault}")
    return 0


def _chosen(names: Sequence[str]) -> list[Scenario]:
    chosen = []
    for name in names:
        found = [
            one
            for one in SCENARIOS.values()
            if one.name == name or (name.endswith("*") and one.name.startswith(name[:-1]))
        ]
        if not found:
            raise SystemExit(f"there is no scenario {name!r}; see: list")
        chosen += found
    return chosen


def _run_all(
    chosen: Sequence[Scenario], *, jobs: int, is_short: bool, save: bool
) -> list[dict[str, Any]]:
    """Run the scenarios that may share the machine side by side, then the others one by one."""

    def run_one(one: Scenario) -> dict[str, Any]:
        result = run(one, is_short=is_short)
        if save:
            write(result, LATEST)
        _say(json.dumps(result))
        return result

    shared = [one for one in chosen if not one.is_exclusive]
    with ThreadPoolExecutor(max_workers=jobs) as pool:
        results = list(pool.map(run_one, shared))
    return results + [run_one(one) for one in chosen if one.is_exclusive]


def _summarize(results: Sequence[dict[str, Any]]) -> int:
    kept = sum(result["ok"] for result in results)
    _say(f"\n{kept} of {len(results)} scenarios kept their promises")
    for result in results:
        if not result["ok"]:
            first = result.get("not_run") or result["problems"][0]
            _say(f"  {result['scenario']}: {first}")
    return 0 if kept == len(results) else 1


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
