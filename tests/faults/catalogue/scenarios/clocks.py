"""Wrong clocks, by libfaketime."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from tests.faults.catalogue.ledger import BEGUN
from tests.faults.catalogue.registry import scenario
from tests.faults.catalogue.trial import Trial
from tests.support import VALKEY, ValkeyServer

from oxcart import Schedule
from oxcart._model.options import fixed

GROUP = "Clocks"
DELAY_S = 4
LATE_S = 2.5
"""How late a delayed job may run on a busy machine."""


def shifted(offset: str) -> list[str]:
    """A command that runs another one with a shifted wall clock."""
    return ["env", "DONT_FAKE_MONOTONIC=1", "faketime", "-f", offset]


def check_delay(trial: Trial, *, seconds: float = DELAY_S) -> None:
    """Add a delayed job and expect it in time, by the clock of this process."""
    started = time.monotonic()
    [job_id] = trial.add("work", options={"delay": f"{seconds}s"})
    trial.wait_until(lambda: trial.starts([job_id]) > 0, within=90, what="the delayed job to run")
    taken = time.monotonic() - started
    trial.figures["delayed_ran_after_s"] = round(taken, 2)
    trial.expect(taken > seconds - 0.05, f"a job delayed by {seconds} s ran after {taken:.2f} s")
    trial.expect(taken < seconds + LATE_S, f"a job delayed by {seconds} s ran after {taken:.2f} s")


def _worker_clock(name: str, offset: str) -> None:
    @scenario(
        f"clock_worker_{name}",
        group=GROUP,
        fault=f"the worker's clock is {offset} off",
        promise=f"a job delayed by {DELAY_S} s runs within {DELAY_S + LATE_S} s, a retry in time",
        needs="faketime",
    )
    def body(trial: Trial) -> None:
        trial.worker(before=shifted(offset))
        check_delay(trial)
        options = {"attempts": 2, "backoff": fixed("2s")}
        [job_id] = trial.add("retry", kind="r", options=options, failures=1)
        trial.wait_until(lambda: trial.starts([job_id]) > 0, what="the first attempt")
        waited = trial.wait_until(lambda: trial.starts([job_id]) > 1, what="the second attempt")
        trial.figures["retried_after_s"] = round(waited, 2)
        trial.expect(1.8 < waited < 2 + LATE_S, f"a retry of 2 s came after {waited:.2f} s")
        trial.settle()


for each_name, each_offset in (("plus_1h", "+3600s"), ("minus_1h", "-3600s"), ("plus_1d", "+1d")):
    _worker_clock(each_name, each_offset)


@scenario(
    "clock_worker_jumps",
    group=GROUP,
    fault="the worker's clock jumps by hours and days while jobs run",
    promise="no job stalls or starts twice; 3 slots missed at most",
    needs="faketime",
)
def clock_worker_jumps(trial: Trial) -> None:
    file = trial.folder / "clock"
    file.write_text("+0\n")
    command = trial.worker(
        concurrency=30,
        before=["env", "DONT_FAKE_MONOTONIC=1", "faketime", "-f", "+0"],
        FAKETIME_TIMESTAMP_FILE=str(file),
        FAKETIME_NO_CACHE="1",
    )
    trial.queue.upsert_scheduler("each", Schedule.every("1s"), "tick")
    trial.add("work", count=20, ms=15_000)
    trial.wait_for_starts(20)
    began = time.monotonic()
    for offset in ("+3600", "-3600", "+86400", "-86400", "+0"):
        file.write_text(f"{offset}\n")
        time.sleep(3)
    seconds = time.monotonic() - began
    trial.queue.remove_scheduler("each")
    trial.settle()
    ticks = sum(line.reference.startswith("s") for line in trial.lines(BEGUN))
    trial.figures["ticks"] = ticks
    trial.expect(ticks >= seconds - 3, f"{ticks} ticks in {seconds:.0f} s")
    trial.check()
    trial.expect(not trial.figures["started_twice"], "a job started twice")
    trial.expect("stalled.recovered" not in command.output(), "a job stalled")


def _producer_clock(name: str, offset: str) -> None:
    @scenario(
        f"clock_producer_{name}",
        group=GROUP,
        fault=f"the producer's clock is {offset} off",
        promise=f"a job delayed by up to {DELAY_S} s runs within {DELAY_S + LATE_S} s",
        needs="faketime",
    )
    def body(trial: Trial) -> None:
        trial.worker()
        producer = trial.producer(
            count=5,
            rate=100,
            recipes=[{"name": "work", "delay": DELAY_S * 1_000}],
            before=shifted(offset),
        )
        producer.wait()
        taken = trial.wait_until(lambda: trial.starts() >= 5, within=90, what="the delayed jobs")
        trial.at_most("last_ran_after_s", taken, DELAY_S + LATE_S)
        trial.settle()


for each_name, each_offset in (("plus_1h", "+3600s"), ("minus_1h", "-3600s")):
    _producer_clock(each_name, each_offset)


class ShiftedServer(ValkeyServer):
    """A Valkey whose clock is read from a file."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = self.folder / "clock"
        self.clock.write_text("+0\n")

    def _command_line(self) -> list[str | Path]:
        words: Sequence[str] = (
            "env", "DONT_FAKE_MONOTONIC=1", "FAKETIME_NO_CACHE=1",
            f"FAKETIME_TIMESTAMP_FILE={self.clock}", "faketime", "-f", "+0",
        )  # fmt: skip
        assert VALKEY.exists()
        return [*words, *super()._command_line()]


@scenario(
    "clock_server",
    group=GROUP,
    fault="the server's clock jumps by an hour, forward and back, while jobs run",
    promise="no job lost; a job delayed afterwards is in time",
    options={"server": ShiftedServer},
    needs="faketime",
)
def clock_server(trial: Trial) -> None:
    trial.worker()
    for offset in ("+3600", "+0"):
        trial.add("work", count=5, ms=2_000)
        time.sleep(0.5)
        trial.server.clock.write_text(f"{offset}\n")
        trial.settle()
    check_delay(trial)
