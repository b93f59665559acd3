"""The meter counts what handlers in several processes and threads do, and loses nothing."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from benchmarks.meter import Meter, ThreadMeter

ROOT = Path(__file__).parents[3]
PROGRAM = """
import os
import sys
from benchmarks.meter import Meter

meter = Meter(sys.argv[1])
child = os.fork()
for _ in range(1000):
    meter.begin()
    meter.end()
if child:
    os.waitpid(child, 0)
"""


def test_processes_and_their_forks_are_summed(tmp_path: Path) -> None:
    meter = Meter.create(tmp_path / "meter")
    started = time.time()
    programs = [
        subprocess.Popen([sys.executable, "-c", PROGRAM, str(meter.path)], cwd=ROOT)
        for _ in range(2)
    ]

    assert [program.wait(60) for program in programs] == [0, 0]
    assert meter.total() == 4_000
    assert meter.begun() == 4
    assert started <= meter.first() <= meter.last() <= time.time()


def test_threads_are_summed(tmp_path: Path) -> None:
    meter = Meter.create(tmp_path / "meter")
    counting = ThreadMeter(meter.path)

    def count() -> None:
        for _ in range(20_000):
            counting.begin()
            counting.end()

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert meter.total() == 80_000


def test_latencies_are_kept(tmp_path: Path) -> None:
    meter = Meter.create(tmp_path / "meter")

    meter.late(time.time() - 2)
    meter.late(time.time() - 1)

    assert [pytest.approx(2, abs=0.9), pytest.approx(1, abs=0.9)] == meter.latencies()


def test_more_processes_than_slots_are_refused(tmp_path: Path) -> None:
    meter = Meter.create(tmp_path / "meter", slots=1)
    meter.begin()

    with pytest.raises(RuntimeError, match="1 slots"):
        Meter(meter.path).begin()
