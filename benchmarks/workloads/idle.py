"""What an idle worker asks of the server."""

from __future__ import annotations

import threading
import time
from collections import Counter
from dataclasses import replace
from typing import Any

from benchmarks.runner import Bench
from benchmarks.workload import Case, Figure, Workload

SETTLE_S, WATCH_S = 3.0, 60.0
SMOKE_SETTLE_S, SMOKE_WATCH_S = 0.3, 0.7


def _measure(bench: Bench, case: Case) -> dict[str, Any]:
    order = bench.order(case)
    settle, watch = (SMOKE_SETTLE_S, SMOKE_WATCH_S) if bench.is_smoke else (SETTLE_S, WATCH_S)
    with bench.worker(order) as worker:
        time.sleep(settle)
        calls = _watched(bench, watch)
        bench.enqueue(replace(order, jobs=case.jobs))
        bench.finish(worker)
    return {
        "calls_per_s": round(sum(calls.values()) / watch, 2),
        "calls": calls,
        "watched_s": watch,
    }


def _watched(bench: Bench, watch: float) -> dict[str, int]:
    """Count what clients send, by command; what their scripts call is not sent."""
    counts: Counter[str] = Counter()
    with bench.redis.client.monitor() as monitor:
        until = time.monotonic() + watch
        ending = threading.Timer(watch, bench.redis.client.ping)
        ending.start()
        for seen in monitor.listen():
            if time.monotonic() >= until:
                break
            if seen["client_type"] != "lua":
                counts[seen["command"].split()[0].lower()] += 1
        ending.join()
    return dict(counts)


WORKLOAD = Workload(
    name="idle",
    about="Commands a second that a worker with nothing to do sends.",
    cases=(Case(1),),
    figures=(Figure("calls_per_s", "commands/s", is_less_better=True),),
    measure=_measure,
    is_for_redis=True,
    smoke_jobs=1,
    repeat=1,
)
