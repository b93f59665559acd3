"""The benchmark suite runs: every workload, with the adapters that need nothing installed."""

from __future__ import annotations

import pytest
from benchmarks.runner import Plan, run
from benchmarks.servers import ServerChoice
from benchmarks.systems import find_systems
from benchmarks.workloads import NAMES, find_workloads

NEED_NODE = ("shared",)
OF_THE_FLOOR_TOO = ("noop", "adding", "io", "latency", "idle", "processes")
"""The floor's adapter does the same in the others, and a process takes its time to start."""


@pytest.mark.parametrize("name", [name for name in NAMES if name not in NEED_NODE])
def test_workload_measures_every_figure_of_our_systems(name: str) -> None:
    (workload,) = find_workloads(name)
    systems = find_systems("oxcart,floor" if name in OF_THE_FLOOR_TOO else "oxcart")
    plan = Plan(systems, ServerChoice(), is_smoke=True, limit_s=60)

    rows = list(run(workload, plan))

    assert rows
    assert [row["error"] for row in rows if "error" in row] == []
    assert [_missing(row, [figure.key for figure in workload.figures]) for row in rows] == [
        [] for _ in rows
    ]
    assert [row["system"] for row in rows if row.get("runs", row["jobs"]) < row["jobs"]] == []


def _missing(row: dict[str, object], keys: list[str]) -> list[str]:
    return [key for key in keys if key not in row]
