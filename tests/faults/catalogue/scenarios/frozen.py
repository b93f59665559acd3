"""Processes that stand still: SIGSTOP, a held interpreter lock, a blocked loop, a blocked log."""

from __future__ import annotations

import os
import signal
import time

from tests.faults.catalogue.ledger import POISON
from tests.faults.catalogue.parts import send
from tests.faults.catalogue.registry import scenario
from tests.faults.catalogue.scenarios.killed import start_long
from tests.faults.catalogue.trial import Trial

GROUP = "Frozen and blocked"
JOBS = 4


def start_in_one(trial: Trial, *, name: str = "work", ms: float = 3_000) -> list[str]:
    """Add jobs and wait until the only worker runs all of them."""
    job_ids = trial.add(name, count=JOBS, ms=ms)
    trial.wait_until(lambda: trial.starts(job_ids) >= JOBS, within=90, what="the jobs to run")
    return job_ids


def expect_single_runs(trial: Trial, job_ids: list[str]) -> None:
    trial.figures["runs"] = trial.starts(job_ids)
    trial.expect(trial.starts(job_ids) == len(job_ids), "a job was run more than once")


def _freeze_cli(seconds: int, *, is_killed: bool = False) -> None:
    promise = (
        "killed after 90 s; each job completes once, elsewhere"
        if is_killed
        else "each job runs once"
    )

    @scenario(
        f"freeze_cli_{seconds}",
        group=GROUP,
        fault=f"SIGSTOP of the child for {seconds} s, another worker beside",
        promise=promise,
        short={} if seconds == 5 else None,
    )
    def body(trial: Trial) -> None:
        command = trial.worker(concurrency=JOBS)
        job_ids = start_in_one(trial)
        trial.worker(concurrency=JOBS)
        with trial.stopped(*command.children()):
            time.sleep(seconds)
            if is_killed:
                trial.settle(within=30)
        trial.settle()
        if not is_killed:
            expect_single_runs(trial, job_ids)


for each in (5, 40, 85):
    _freeze_cli(each)
_freeze_cli(100, is_killed=True)


@scenario(
    "freeze_own_5",
    group=GROUP,
    fault="SIGSTOP of a program with App.worker for 5 s, another one beside",
    promise="each job runs once",
    options={"seconds": 5, "is_once": True},
)
@scenario(
    "freeze_own_40",
    group=GROUP,
    fault="the same for 40 s; handlers call ensure_lock",
    promise="each job reaches its end once",
    options={"seconds": 40},
)
@scenario(
    "freeze_own_90",
    group=GROUP,
    fault="the same for 90 s",
    promise="each job reaches its end once",
    options={"seconds": 90},
)
def freeze_own(trial: Trial, *, seconds: float, is_once: bool = False) -> None:
    program = trial.own(concurrency=JOBS)
    job_ids = start_in_one(trial, name="fenced")
    trial.own(concurrency=JOBS)
    with trial.stopped(program.pid):
        time.sleep(seconds)
    trial.settle()
    expect_single_ends(trial, job_ids)
    if is_once:
        expect_single_runs(trial, job_ids)


def expect_single_ends(trial: Trial, job_ids: list[str]) -> None:
    ends = trial.ends(job_ids)
    trial.expect(ends == len(job_ids), f"{len(job_ids)} jobs reached their end {ends} times")


@scenario(
    "freeze_all",
    group=GROUP,
    fault="SIGSTOP of the tree for 70 s; handlers call ensure_lock",
    promise="each job reaches its end once",
)
def freeze_all(trial: Trial, *, seconds: float = 70) -> None:
    command = trial.worker(concurrency=JOBS)
    job_ids = start_in_one(trial, name="fenced")
    trial.worker(concurrency=JOBS)
    with trial.stopped(command.process.pid, *command.children()):
        time.sleep(seconds)
    trial.settle()
    expect_single_ends(trial, job_ids)


@scenario(
    "freeze_cli_gil",
    group=GROUP,
    fault="a handler holds the interpreter lock for 45 s beside 4 jobs, another worker",
    promise="each job runs once",
    options={"seconds": 45},
)
@scenario(
    "freeze_own_gil",
    group=GROUP,
    fault="the same in a program with App.worker, whose locks run out meanwhile",
    promise="the neighbours complete within 240 s, none fails",
    options={"seconds": 45, "own": True, "neighbours_within": 240},
)
@scenario(
    "freeze_block",
    group=GROUP,
    fault="time.sleep(45) in an async handler beside 4 jobs, another worker",
    promise="each job runs once",
    options={"seconds": 45, "name": "block"},
)
@scenario(
    "freeze_own_block",
    group=GROUP,
    fault="the same in a program with App.worker",
    promise="each job runs once",
    options={"seconds": 45, "name": "block", "own": True, "is_once": True},
)
def freeze_handler(
    trial: Trial,
    *,
    seconds: int,
    own: bool = False,
    name: str = "hold_gil",
    is_once: bool = False,
    neighbours_within: float = 0,
) -> None:
    if own:
        trial.own(concurrency=JOBS + 1)
    else:
        trial.worker(concurrency=JOBS + 1)
    job_ids = start_in_one(trial)
    job_ids += trial.add(name, seconds=seconds)
    trial.wait_until(lambda: trial.starts(job_ids[-1:]) > 0, what="the handler to block")
    if own:
        trial.own(concurrency=JOBS + 1)
    else:
        trial.worker(concurrency=JOBS + 1)
    if neighbours_within:
        # No other process renews its lock, so that the job itself is never finished.
        trial.allowed.unsettled = "a job that holds the interpreter lock loses its own"
        done = trial.wait_until(
            lambda: all(trial.state_of(each) == "completed" for each in job_ids[:-1]),
            within=neighbours_within + 120,
            step=0.5,
            what="the neighbours to complete; now: {states}",
        )
        trial.at_most("neighbours_s", done, neighbours_within)
        return
    trial.settle(within=300)
    trial.figures["runs"] = trial.starts(job_ids)
    if is_once or not own:
        expect_single_runs(trial, job_ids)


@scenario(
    "loop_dead",
    group=GROUP,
    fault="time.sleep(100000) in an async handler, timeout 5 s",
    promise="3 neighbours complete within 90 s, the job fails",
)
def loop_dead(trial: Trial, *, limit: float = 90) -> None:
    command = trial.worker(concurrency=4, TEST_TIMEOUT="5s")
    neighbours = trial.add("work", count=3, ms=1_000)
    [blocking] = trial.add("block", kind=POISON, seconds=100_000)
    started = time.monotonic()
    trial.wait_until(
        lambda: trial.ends(neighbours) >= 3, within=limit + 90, what="the neighbours to end"
    )
    trial.at_most("neighbours_s", time.monotonic() - started, limit)
    trial.settle(within=400)
    trial.figures["settled_s"] = round(time.monotonic() - started, 1)
    trial.figures["reason"] = trial.field(blocking, "failedReason")
    trial.expect("block" in command.output(), "the log does not name the job or its place")


@scenario(
    "log_blocked",
    group=GROUP,
    fault="the log goes to a pipe that nothing reads; handlers log 200 kB",
    promise="100 jobs complete within 30 s",
    short={"count": 20},
)
def log_blocked(trial: Trial, *, count: int = 100, limit: float = 30) -> None:
    pipe = trial.folder / "log-pipe"
    os.mkfifo(pipe)
    held = os.open(pipe, os.O_RDWR | os.O_NONBLOCK)
    try:
        trial.worker(
            concurrency=5,
            wait=False,
            before=["sh", "-ec", f'exec "$@" >{pipe} 2>&1', "sh"],
        )
        trial.add("log_much", count=5, kilobytes=200)
        trial.add("work", count=count)
        trial.at_most("settled_s", trial.settle(within=120), limit)
    finally:
        os.close(held)


@scenario(
    "cpu_starved",
    group=GROUP,
    fault="eight busy processes, the worker at nice 19, for 60 s: 5 jobs of 40 s, 20 jobs a second",
    promise="no job starts twice",
    is_exclusive=True,
)
def cpu_starved(trial: Trial, *, busy: int = 8, seconds: float = 60) -> None:
    trial.worker(concurrency=20, before=["nice", "-n", "19"])
    start_long(trial, ms=40_000)
    spinning = [trial.program(["python3", "-c", "while True: pass"]) for _ in range(busy)]
    producer = trial.producer(rate=20, count=int(20 * seconds))
    producer.wait(within=seconds * 4)
    for one in spinning:
        send(one.pid, signal.SIGKILL)
    trial.figures["drained_s"] = round(trial.settle(within=180), 1)
    trial.check()
    trial.expect(not trial.figures["started_twice"], "a job started twice")
