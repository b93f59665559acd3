"""Several worker processes on one queue."""

from __future__ import annotations

from typing import Any

from benchmarks.runner import Bench
from benchmarks.workload import DRAINED, PAIR, Case, Workload


def _measure(bench: Bench, case: Case) -> dict[str, Any]:
    return bench.drain(bench.order(case), processes=int(case.name))


WORKLOAD = Workload(
    name="processes",
    about="Jobs that do nothing, run by one, two and four worker processes.",
    cases=tuple(Case(40_000, name=name) for name in ("1", "2", "4")),
    figures=DRAINED,
    measure=_measure,
    smoke_cases=(1,),
    systems=PAIR,
    repeat=3,
)
