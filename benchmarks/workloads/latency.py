"""How long an idle worker takes from the call that adds a job to the handler's start."""

from __future__ import annotations

from typing import Any

from benchmarks.meter import Meter
from benchmarks.percentiles import percentiles_us
from benchmarks.protocol import Order
from benchmarks.runner import Bench
from benchmarks.workload import LATENCIES, WORKER_CPU, Case, Workload

RATE = 200


def measure_latencies(bench: Bench, order: Order) -> dict[str, Any]:
    """Add jobs at a pace to an idle worker; the percentiles of how late handlers began.

    The first tenth is left out: connections, scripts and compiled code are not there yet.
    """
    with bench.worker(order) as worker:
        bench.enqueue(order)
        answer = bench.finish(worker)
    figures = percentiles_us(Meter(order.meter).latencies()[order.jobs // 10 :])
    return {**figures, "worker_cpu_us": round(answer["cpu_seconds"] / order.jobs * 1e6, 2)}


def _measure(bench: Bench, case: Case) -> dict[str, Any]:
    return measure_latencies(bench, bench.order(case))


WORKLOAD = Workload(
    name="latency",
    about="Jobs added one by one, 200 a second, to an idle worker: from the call to the handler.",
    cases=(Case(2_000, options={"rate": RATE}),),
    figures=(*LATENCIES, WORKER_CPU),
    measure=_measure,
    smoke_jobs=40,
    repeat=3,
)
