"""Callers: waiting for results, forks, cancelled adds; and warnings at start."""

from __future__ import annotations

import signal
import sys
import time
from functools import partial

from tests.faults.catalogue.parts import Process
from tests.faults.catalogue.registry import scenario
from tests.faults.catalogue.trial import Trial
from tests.faults.commands import PROGRAMS
from tests.support import ValkeyServer

GROUP = "Callers"


def call(trial: Trial, name: str, count: int, *, url: str | None = None) -> Process:
    words = [sys.executable, "-W", "error", str(PROGRAMS / "catalogue_caller.py"), name, str(count)]
    return trial.program(words, url=url)


@scenario(
    "results_cut",
    group=GROUP,
    fault="400 callers wait for results while every connection is reset each 150 ms",
    promise="400 results",
    short={"count": 100},
)
def results_cut(trial: Trial, *, count: int = 400) -> None:
    trial.worker(concurrency=50)
    caller = call(trial, "results", count)
    while caller.is_alive:
        time.sleep(0.15)
        trial.client.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        trial.client.execute_command("CLIENT", "KILL", "TYPE", "pubsub")
    expect_results(trial, caller, count)


@scenario(
    "results_server_killed",
    group=GROUP,
    fault="400 callers wait for results while the server is killed 3 times",
    promise="400 results; StoreUnavailable may be raised before",
    options={"server": partial(ValkeyServer, is_durable=True)},
)
def results_server_killed(trial: Trial, *, count: int = 400) -> None:
    trial.worker(concurrency=50)
    caller = call(trial, "results", count)
    for _ in range(3):
        time.sleep(1.5)
        trial.server.restart()
    expect_results(trial, caller, count)


def expect_results(trial: Trial, caller: Process, count: int) -> None:
    caller.wait(within=120)
    words = caller.output().split()[:4]
    trial.expect(len(words) == 4, f"the caller ended badly: {caller.output()[-300:]}")
    results, errors = int(words[1]), int(words[3])
    trial.figures["results"], trial.figures["errors"] = results, errors
    trial.expect(results == count, f"{results} of {count} results came")
    trial.settle()


@scenario(
    "fork",
    group=GROUP,
    fault="a blocking queue is used before and after os.fork, in 5 processes, 400 adds each",
    promise="2,001 distinct jobs, no mixed reply",
    short={"count": 50},
)
def fork(trial: Trial, *, count: int = 400) -> None:
    trial.worker(concurrency=50)
    caller = call(trial, "fork", count)
    trial.expect(caller.wait(within=90) == 0, f"the caller ended badly: {caller.output()[-300:]}")
    trial.settle()
    added = trial.count("completed")
    trial.expect(added == 5 * count + 1, f"{added} jobs instead of {5 * count + 1}")


@scenario(
    "cancelled_adds",
    group=GROUP,
    fault="3,000 concurrent adds, half of them cancelled after 0 to 60 ms",
    promise="every other add returns its own job",
    short={"count": 500},
)
def cancelled_adds(trial: Trial, *, count: int = 3_000) -> None:
    trial.worker(concurrency=50)
    caller = call(trial, "cancel", count)
    trial.expect(caller.wait(within=90) == 0, f"the caller ended badly: {caller.output()[-300:]}")
    trial.settle()


@scenario(
    "evicting_server",
    group=GROUP,
    fault="the server has maxmemory-policy allkeys-lru",
    promise="the worker logs server.may_drop_jobs at its start",
    short={},
)
def evicting_server(trial: Trial) -> None:
    trial.client.config_set("maxmemory-policy", "allkeys-lru")
    command = trial.worker()
    trial.next_job()
    trial.wait_until(
        lambda: "server.may_drop_jobs" in command.output(), within=10, what="the warning"
    )
    command.process.send_signal(signal.SIGTERM)
    command.wait()


@scenario(
    "log_closed",
    group=GROUP,
    fault="the log's output is /dev/full from the start",
    promise="500 jobs complete",
    short={"count": 100},
)
def log_closed(trial: Trial, *, count: int = 500) -> None:
    trial.worker(wait=False, before=["sh", "-ec", 'exec "$@" >/dev/full 2>&1', "sh"])
    trial.add("log_much", count=3, kilobytes=20)
    trial.add("work", count=count)
    trial.figures["settled_s"] = round(trial.settle(), 1)
