"""How long ``import oxcart`` takes beside the Redis client that it uses."""

from __future__ import annotations

import subprocess
import sys
from statistics import median
from typing import Any

from benchmarks.runner import Bench
from benchmarks.workload import Case, Figure, Workload

MODULES = ("oxcart", "redis.asyncio")
PROGRAM = """
import time
start = time.perf_counter()
import {module}
print(time.perf_counter() - start)
"""


def _measure(_bench: Bench, case: Case) -> dict[str, Any]:
    seconds: dict[str, list[float]] = {module: [] for module in MODULES}
    for _ in range(case.jobs):
        for module in MODULES:
            seconds[module].append(_import_seconds(module))
    ours, theirs = (median(seconds[module]) for module in MODULES)
    return {
        "import_ms": round(ours * 1000, 2),
        "redis_import_ms": round(theirs * 1000, 2),
        "of_redis": round(ours / theirs, 3),
    }


def _import_seconds(module: str) -> float:
    program = PROGRAM.format(module=module)
    said = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    return float(said.stdout)


WORKLOAD = Workload(
    name="imports",
    about="`import oxcart` and `import redis.asyncio` in fresh processes, in turn: medians.",
    cases=(Case(20, concurrency=1),),
    figures=(
        Figure("import_ms", "import oxcart, ms", is_less_better=True),
        Figure("redis_import_ms", "import redis.asyncio, ms", is_less_better=True),
        Figure("of_redis", "of redis.asyncio", is_less_better=True),
    ),
    measure=_measure,
    systems="oxcart",
    only=("oxcart",),
    smoke_jobs=1,
    repeat=1,
)
