"""Handlers that do nothing: what the system itself costs a job."""

from __future__ import annotations

from typing import Any

from benchmarks.runner import Bench
from benchmarks.workload import DRAINED, Case, Workload


def _measure(bench: Bench, case: Case) -> dict[str, Any]:
    return bench.drain(bench.order(case))


WORKLOAD = Workload(
    name="noop",
    about="Jobs whose handler does nothing, added in bulk, then run by one worker process.",
    cases=(Case(20_000, 100), Case(20_000, 10), Case(5_000, 1)),
    figures=DRAINED,
    measure=_measure,
)
