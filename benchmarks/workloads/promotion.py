"""Many delayed jobs that fall due at once: how long the server is blocked by a single call."""

from __future__ import annotations

import time
from typing import Any

from benchmarks.runner import Bench, adding_figures
from benchmarks.workload import DRAINED, Case, Figure, Workload

DELAY_MS = 1_000
NOTED_US = 500


def _measure(bench: Bench, case: Case) -> dict[str, Any]:
    order = bench.order(case, options={"delay_ms": DELAY_MS})
    added = bench.enqueue(order)
    time.sleep(DELAY_MS / 1000)  # Now the last of them is due too.
    bench.redis.reset_stats()
    bench.redis.log_calls_over(NOTED_US)
    figures = bench.run_workers(order)
    longest = bench.redis.longest_call_us()
    return {
        **adding_figures(added),
        **figures,
        "longest_call_us": longest,
        "noted_over_us": NOTED_US,
    }


WORKLOAD = Workload(
    name="promotion",
    about="100,000 delayed jobs that are all due when a worker starts: the server's longest call.",
    cases=(Case(100_000),),
    figures=(Figure("longest_call_us", "longest call µs", is_less_better=True), *DRAINED),
    measure=_measure,
    is_for_redis=True,
    systems="oxcart,bullmq-node",
    needs=("delays",),
    repeat=3,
)
