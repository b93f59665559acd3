"""The worker's own memory, before and after many jobs."""

from __future__ import annotations

import time
from typing import Any

from benchmarks.runner import Bench
from benchmarks.workload import Case, Figure, Workload

MB = 1_000_000
SETTLE_S, SMOKE_SETTLE_S = 2.0, 0.3


def _measure(bench: Bench, case: Case) -> dict[str, Any]:
    order = bench.order(case)
    with bench.worker(order) as worker:
        time.sleep(SMOKE_SETTLE_S if bench.is_smoke else SETTLE_S)
        before = worker.rss_bytes()
        bench.enqueue(order)
        after = bench.finish(worker)["rss_after"]
    return {
        "rss_before_mb": round(before / MB, 1),
        "rss_after_mb": round(after / MB, 1),
        "rss_growth_mb": round((after - before) / MB, 1),
    }


WORKLOAD = Workload(
    name="rss",
    about="The resident memory of a worker process: idle, and after 100,000 jobs.",
    cases=(Case(100_000),),
    figures=(
        Figure("rss_before_mb", "MB before", is_less_better=True),
        Figure("rss_after_mb", "MB after", is_less_better=True),
        Figure("rss_growth_mb", "MB more", is_less_better=True),
    ),
    measure=_measure,
    systems="oxcart,bullmq-node,floor",
    repeat=1,
)
