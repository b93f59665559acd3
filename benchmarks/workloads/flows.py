"""Parents that wait for their children."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from benchmarks.runner import Bench
from benchmarks.workload import DRAINED, Case, Workload

CHILDREN = 10
PARENTS = 1_000


def _measure(bench: Bench, case: Case) -> dict[str, Any]:
    whole = case.jobs // (CHILDREN + 1) * (CHILDREN + 1)
    return {"jobs": whole, **bench.drain(bench.order(replace(case, jobs=whole)))}


WORKLOAD = Workload(
    name="flows",
    about="1,000 parents with 10 children each, added in bulk, then run by one worker process.",
    cases=(Case(PARENTS * (CHILDREN + 1), options={"children": CHILDREN}),),
    figures=DRAINED,
    measure=_measure,
    systems="oxcart,bullmq-node",
    needs=("flows",),
)
