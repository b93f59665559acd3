"""Handlers that wait for 10 ms, as most handlers wait for something."""

from __future__ import annotations

from typing import Any

from benchmarks.runner import Bench
from benchmarks.workload import DRAINED, Case, Figure, Workload

SLEEP_MS = 10


def _measure(bench: Bench, case: Case) -> dict[str, Any]:
    figures = bench.drain(bench.order(case, handler="sleep", sleep_ms=SLEEP_MS))
    ideal = case.concurrency * 1000 / SLEEP_MS
    return {**figures, "efficiency": round(figures["process_per_s"] / ideal, 4)}


WORKLOAD = Workload(
    name="io",
    about="Jobs whose handler sleeps 10 ms; 100 at a time could do 10,000 a second at the best.",
    cases=(Case(20_000),),
    figures=(*DRAINED, Figure("efficiency", "of the ideal")),
    measure=_measure,
)
