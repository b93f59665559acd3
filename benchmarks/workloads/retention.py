"""Keeping the last completed jobs and figures a minute, beside removing jobs at once."""

from __future__ import annotations

from typing import Any

from benchmarks.runner import Bench
from benchmarks.workload import DRAINED, Case, Workload

KEPT = 1_000
MINUTES = 60


def _measure(bench: Bench, case: Case) -> dict[str, Any]:
    return bench.drain(bench.order(case))


WORKLOAD = Workload(
    name="retention",
    about="The last 1,000 completed jobs and figures a minute are kept; beside removing at once.",
    cases=(
        Case(20_000, name="remove"),
        Case(20_000, name="keep", options={"keep": KEPT, "metrics": MINUTES}),
    ),
    figures=DRAINED,
    measure=_measure,
    smoke_cases=(1,),
    systems="oxcart,bullmq-node",
    needs=("retention",),
)
