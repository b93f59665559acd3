"""The server's memory that a waiting job takes."""

from __future__ import annotations

from typing import Any

from benchmarks.runner import Bench
from benchmarks.workload import Case, Figure, Workload


def _measure(bench: Bench, case: Case) -> dict[str, Any]:
    before = bench.server.used_bytes()
    bench.enqueue(bench.order(case))
    used = bench.server.used_bytes() - before
    return {"bytes_per_job": round(used / case.jobs, 1)}


WORKLOAD = Workload(
    name="memory",
    about="The server's memory for each of 100,000 small waiting jobs.",
    cases=(Case(100_000),),
    figures=(Figure("bytes_per_job", "bytes a waiting job", is_less_better=True),),
    measure=_measure,
    repeat=1,
)
