"""One queue that a worker of oxcart and one of BullMQ on Node share."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from typing import Any

from benchmarks.meter import Meter
from benchmarks.runner import READY_S, Bench, adding_figures, partner, working_figures
from benchmarks.workload import DRAINED, Case, Figure, Workload


def _measure(bench: Bench, case: Case) -> dict[str, Any]:
    order = bench.order(case)
    node, environment = partner("bullmq-node")
    other = replace(bench, system=node, environment=environment)
    added = bench.enqueue(order)
    cpu = bench.server.cpu_seconds()
    with ExitStack() as stack:
        workers = [stack.enter_context(side.adapter("work", order)) for side in (bench, other)]
        for worker in workers:
            worker.answer(READY_S)
        answers = [worker.answer(bench.limit_s) for worker in workers]
        for worker in workers:
            worker.wait()
    figures = working_figures(
        Meter(order.meter), answers, server_cpu=bench.server.cpu_seconds() - cpu
    )
    return {
        **adding_figures(added),
        **figures,
        "node_share": round(answers[1]["jobs"] / figures["runs"], 3),
    }


WORKLOAD = Workload(
    name="shared",
    about="Jobs that do nothing, run by a worker of oxcart and one of BullMQ on Node together.",
    cases=(Case(20_000),),
    figures=(*DRAINED, Figure("node_share", "run by Node")),
    measure=_measure,
    systems="oxcart",
    only=("oxcart",),
    repeat=3,
)
