"""Load without a fault: delayed jobs, many jobs due at once, bulk operations."""

from __future__ import annotations

import time
from typing import Any

from tests.faults.catalogue.ledger import BEGUN
from tests.faults.catalogue.registry import scenario
from tests.faults.catalogue.trial import Trial

from oxcart import JobState

GROUP = "Load"


@scenario(
    "delayed_no_fault",
    group=GROUP,
    fault="none: 300 delayed jobs a second for 60 s",
    promise="no worker ends, no job starts twice",
    short={"rate": 300, "seconds": 5},
)
@scenario(
    "delayed_fast",
    group=GROUP,
    fault="none: 1,500 delayed jobs a second for 60 s",
    promise="no worker ends, no job starts twice",
    options={"rate": 1_500, "batch": 15},
    is_exclusive=True,
)
@scenario(
    "delayed_blocked",
    group=GROUP,
    fault="300 delayed jobs a second; a handler blocks the loop for 0.4 s every 2 s",
    promise="no worker ends, no job starts twice",
    options={"seconds": 30, "blocked": 0.4},
)
def delayed(
    trial: Trial, *, rate: float = 300, seconds: float = 60, batch: int = 1, blocked: float = 0
) -> None:
    command = trial.worker(concurrency=50)
    producer = trial.producer(
        rate=rate,
        count=int(rate * seconds),
        batch=batch,
        recipes=[{"name": "work", "delay": 400, "data": {"ms": 1}}],
    )
    while producer.is_alive:
        if blocked:
            trial.add("block", seconds=blocked)
            time.sleep(2)
        else:
            producer.wait(within=seconds * 4 + 60)
    trial.figures["drained_s"] = round(trial.settle(), 1)
    trial.check()
    deaths = command.output().count("supervisor.worker_died")
    trial.expect(not deaths, f"{deaths} worker processes ended")
    started_twice = trial.figures["started_twice"]
    trial.expect(not started_twice, f"{started_twice} jobs started twice")


@scenario(
    "herd",
    group=GROUP,
    fault="100,000 delayed jobs due at one moment, 2 workers",
    promise="none runs early, none twice; all done within 60 s",
    is_exclusive=True,
)
def herd(trial: Trial, *, count: int = 100_000, ahead: float = 40, limit: float = 60) -> None:
    for _ in range(2):
        trial.worker(concurrency=100)
    due = time.time() + ahead
    for start in range(0, count, 5_000):
        left = due - time.time()
        trial.add("work", count=min(5_000, count - start), options={"delay": f"{left:.3f}s"})
    trial.expect(time.time() < due, "adding took longer than the delay")
    trial.wait_until(
        lambda: trial.count("completed") >= count,
        within=ahead + limit + 60,
        step=0.5,
        what="all jobs of the herd to complete",
    )
    times = sorted(line.at_ms / 1_000 - due for line in trial.lines(BEGUN))
    trial.figures["first_s"] = round(times[0], 2)
    trial.expect(times[0] > -0.05, f"a job ran {-times[0]:.2f} s early")
    trial.at_most("last_s", times[-1], limit)
    trial.check()
    trial.expect(not trial.figures["started_twice"], "jobs started twice")


@scenario(
    "bulk_sweeps",
    group=GROUP,
    fault="promote, drain, clean and obliterate 100,000 jobs",
    promise="no command holds the server for 100 ms",
    is_exclusive=True,
    short={"count": 5_000},
)
def bulk_sweeps(trial: Trial, *, count: int = 100_000, limit_ms: float = 100) -> None:
    trial.allowed.lost = "the scenario removes them"
    for delay in ("1h", "0s"):
        for start in range(0, count, 5_000):
            trial.add("work", count=min(5_000, count - start), options={"delay": delay})
        trial.client.config_set("slowlog-log-slower-than", 10_000)
        trial.client.slowlog_reset()
        if delay == "1h":
            trial.queue.promote_all()
            trial.expect(trial.count("wait") == count, "promote_all left jobs behind")
            trial.queue.drain()
            trial.expect(trial.count("wait") == 0, "drain left jobs behind")
    trial.worker(concurrency=100)
    trial.settle(within=300)
    trial.expect(trial.count("completed") == count, "not every job completed")
    trial.queue.clean("0s", limit=count // 2, state=JobState.COMPLETED)
    trial.expect(trial.count("completed") == count - count // 2, "clean removed too few or many")
    trial.check()
    trial.queue.obliterate(force=True)
    left = [key for key in trial.client.scan_iter(f"{trial.prefix}:q:*") if b":oxcart:" not in key]
    trial.figures["keys_left"] = len(left)
    entries: Any = trial.client.slowlog_get(1_000)
    # The checks read everything in one script, which is not oxcart's.
    own = [entry for entry in entries if b"picture" not in entry["command"]]
    slowest = max(own, key=lambda entry: entry["duration"], default=None)
    longest = 0 if slowest is None else slowest["duration"] / 1_000
    trial.figures["slowest"] = "" if slowest is None else slowest["command"][:60].decode()
    trial.figures["longest_command_ms"] = longest
    trial.expect(longest < limit_ms, f"a command held the server for {longest:.0f} ms")
