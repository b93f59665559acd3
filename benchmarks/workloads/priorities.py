"""Jobs of mixed priorities."""

from __future__ import annotations

from typing import Any

from benchmarks.runner import Bench
from benchmarks.workload import DRAINED, Case, Workload

PRIORITIES = 10


def _measure(bench: Bench, case: Case) -> dict[str, Any]:
    return bench.drain(bench.order(case))


WORKLOAD = Workload(
    name="priorities",
    about="Jobs of ten priorities in turn, added in bulk, then run by one worker process.",
    cases=(Case(20_000, options={"priorities": PRIORITIES}),),
    figures=DRAINED,
    measure=_measure,
    systems="oxcart,bullmq-node",
    needs=("priorities",),
)
