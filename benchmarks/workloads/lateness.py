"""How late a delayed job starts on a system that has nothing else to do."""

from __future__ import annotations

from typing import Any

from benchmarks.runner import Bench
from benchmarks.workload import LATENCIES, WORKER_CPU, Case, Workload
from benchmarks.workloads.latency import measure_latencies

RATE = 20
DELAY_MS = 333
"""No multiple of the time between two adds: a job falls due while nothing is added."""


def _measure(bench: Bench, case: Case) -> dict[str, Any]:
    return measure_latencies(bench, bench.order(case))


WORKLOAD = Workload(
    name="lateness",
    about="Jobs delayed by 333 ms, 20 a second, on an idle worker: how long after they were due.",
    cases=(Case(400, options={"rate": RATE, "delay_ms": DELAY_MS}),),
    figures=(*LATENCIES, WORKER_CPU),
    measure=_measure,
    systems="all",
    needs=("delays",),
    smoke_jobs=10,
    repeat=3,
)
