"""What adding and running cost when many jobs wait already."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from benchmarks.runner import Bench
from benchmarks.workload import DRAINED, PAIR, Case, Workload

SMOKE_WAITING = 1_000


def _measure(bench: Bench, case: Case) -> dict[str, Any]:
    waiting = case.options["waiting"]
    if bench.is_smoke:
        waiting = min(waiting, SMOKE_WAITING)
    order = bench.order(case, options={})
    bench.enqueue(replace(order, jobs=waiting))
    return {"waiting": waiting, **bench.drain(order)}


WORKLOAD = Workload(
    name="backlog",
    about="10,000 jobs added behind many that wait, then the first 10,000 run.",
    cases=tuple(
        Case(10_000, name=name, options={"waiting": waiting})
        for name, waiting in (
            ("1k", 1_000),
            ("10k", 10_000),
            ("100k", 100_000),
            ("1M", 1_000_000),
        )
    ),
    figures=DRAINED,
    measure=_measure,
    systems=PAIR,
    repeat=3,
)
