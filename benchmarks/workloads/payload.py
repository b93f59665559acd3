"""Jobs that carry 10 kB of JSON."""

from __future__ import annotations

from typing import Any

from benchmarks.runner import Bench
from benchmarks.workload import DRAINED, Case, Workload

PAYLOAD_BYTES = 10_000


def _measure(bench: Bench, case: Case) -> dict[str, Any]:
    return bench.drain(bench.order(case, payload_bytes=PAYLOAD_BYTES))


WORKLOAD = Workload(
    name="payload",
    about="Jobs with 10 kB of JSON (a list of small objects) whose handler does nothing.",
    cases=(Case(10_000),),
    figures=DRAINED,
    measure=_measure,
)
