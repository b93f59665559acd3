"""The same as ``noop`` on a server that writes an append-only file every second."""

from __future__ import annotations

from typing import Any

from benchmarks.runner import Bench
from benchmarks.workload import DRAINED, PAIR, Case, Workload


def _measure(bench: Bench, case: Case) -> dict[str, Any]:
    return bench.drain(bench.order(case))


WORKLOAD = Workload(
    name="durable",
    about="Jobs that do nothing, on a server with an append-only file that is flushed each second.",
    cases=(Case(20_000),),
    figures=DRAINED,
    measure=_measure,
    is_for_redis=True,
    systems=PAIR,
    is_durable=True,
)
