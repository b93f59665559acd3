"""Adding jobs: by the system's bulk call, and one by one from 100 concurrent callers."""

from __future__ import annotations

from typing import Any

from benchmarks.runner import Bench, adding_figures
from benchmarks.workload import ENQUEUED, Case, Figure, Workload

CALLERS = 100


def _measure(bench: Bench, case: Case) -> dict[str, Any]:
    order = bench.order(case)
    cpu = bench.server.cpu_seconds()
    figures = adding_figures(bench.enqueue(order))
    cpu = bench.server.cpu_seconds() - cpu
    return {**figures, "server_cpu_us": round(cpu / case.jobs * 1e6, 2)}


WORKLOAD = Workload(
    name="adding",
    about="Jobs added by the bulk call, and by awaited calls from 100 coroutines.",
    cases=(
        Case(50_000, name="bulk"),
        Case(20_000, name="callers", options={"callers": CALLERS}),
    ),
    figures=(
        ENQUEUED,
        Figure("enqueue_cpu_us", "adder's CPU µs a job", is_less_better=True),
        Figure("server_cpu_us", "server CPU µs a job", is_less_better=True),
    ),
    measure=_measure,
    smoke_cases=(0, 1),
)
