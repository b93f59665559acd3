"""From starting the command ``oxcart worker module:app`` to its first job's start."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.meter import Meter
from benchmarks.processes import AdapterFailed
from benchmarks.runner import Bench
from benchmarks.systems import ROOT
from benchmarks.workload import Case, Figure, Workload

MODULE = "started_app"
PROGRAM = """
import os

import oxcart
from benchmarks.meter import Meter

app = oxcart.App()
meter = Meter(os.environ["BENCHMARK_METER"])


@app.job("mail", queue="bench")
async def mail(to: str, template: str) -> None:
    meter.begin()
    meter.end()
"""
POLL_S = 0.002
STOP_S = 30.0


def _measure(bench: Bench, case: Case) -> dict[str, Any]:
    order = bench.order(case)
    bench.enqueue(order)
    (bench.folder / f"{MODULE}.py").write_text(PROGRAM, encoding="utf-8")
    meter = Meter(order.meter)
    start = time.time()
    with _command(bench, order.meter) as process:
        _until_started(meter, process, start + bench.limit_s, bench.folder / "worker.log")
    return {"start_ms": round((meter.first() - start) * 1000, 1)}


@contextmanager
def _command(bench: Bench, meter: str) -> Iterator[subprocess.Popen[bytes]]:
    variables = {
        "REDIS_URL": bench.server.url,
        "BENCHMARK_METER": meter,
        "PYTHONPATH": os.pathsep.join([str(bench.folder), str(ROOT)]),
        "OXCART_DATA_DIR": str(bench.folder / "data"),
    }
    with (bench.folder / "worker.log").open("wb") as log:
        process = subprocess.Popen(
            [str(Path(sys.executable).with_name("oxcart")), "worker", f"{MODULE}:app"],
            env={**os.environ, **variables},
            cwd=bench.folder,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    try:
        yield process
        process.terminate()
        process.wait(STOP_S)
    finally:
        process.kill()
        process.wait()


def _until_started(
    meter: Meter, process: subprocess.Popen[bytes], deadline: float, log: Path
) -> None:
    while not meter.first():
        if process.poll() is not None or time.time() > deadline:
            said = log.read_text(encoding="utf-8", errors="replace").strip()
            raise AdapterFailed(f"oxcart worker started no job: {said[-300:]}")
        time.sleep(POLL_S)


WORKLOAD = Workload(
    name="startup",
    about="From starting `oxcart worker module:app` to the start of its first job.",
    cases=(Case(1, concurrency=10),),
    figures=(Figure("start_ms", "ms to the first job", is_less_better=True),),
    measure=_measure,
    systems="oxcart",
    only=("oxcart",),
    smoke_jobs=1,
    repeat=7,
)
