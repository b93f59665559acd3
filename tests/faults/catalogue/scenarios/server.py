"""The server dies, stops, forgets, or is full."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from tests.faults.catalogue.checks import Allowed
from tests.faults.catalogue.ledger import ACKNOWLEDGED
from tests.faults.catalogue.parts import Process
from tests.faults.catalogue.registry import scenario
from tests.faults.catalogue.scenarios.network import longest_gap
from tests.faults.catalogue.trial import Trial
from tests.support import ValkeyServer

GROUP = "The server"
SYNC_S = 1.0
"""What a power cut costs with ``appendfsync everysec``."""


def redis_server(fsync: str = "everysec", *, is_durable: bool = True) -> ValkeyServer:
    """Debian's Redis with an append-only file, or the Valkey of the tests without it."""
    binary = shutil.which("redis-server")
    options = ("--appendfsync", fsync)
    if binary is None:
        return ValkeyServer(is_durable=is_durable, options=options)
    return ValkeyServer(is_durable=is_durable, binary=binary, options=options)


def during_load(
    trial: Trial,
    fault: Callable[[], object],
    *,
    seconds: float,
    every: float,
    rate: float = 300,
    limit: float | None = None,
    most: int = 1_000_000,
    ms: float = 0,
) -> Process:
    """Repeat a fault under load, then wait until all is settled; gives the producer.

    Args:
        trial: the trial.
        fault: what is done.
        seconds: how long the load lasts.
        every: the time between two faults.
        rate: jobs a second.
        limit: how long the longest gap may be.
        most: how often the fault is done at the most.
        ms: how long a job takes.
    """
    trial.worker(concurrency=20)
    trial.worker(concurrency=20)
    recipes = [{"name": "work", "data": {"ms": ms}}]
    producer = trial.producer(rate=rate, count=int(rate * seconds), own_ids=True, recipes=recipes)
    until = time.monotonic() + seconds
    count = 0
    while time.monotonic() < until and count < most:
        time.sleep(every)
        fault()
        count += 1
    trial.figures["faults"] = count
    producer.wait(within=seconds * 4 + 60)
    trial.figures["drained_s"] = round(trial.settle(within=240), 1)
    gap = longest_gap(trial)
    if limit is None:
        trial.figures["longest_gap_s"] = round(gap, 1)
    else:
        trial.at_most("longest_gap_s", gap, limit)
    return producer


def _redis_killed(fsync: str) -> None:
    @scenario(
        f"redis_killed_{fsync}",
        group=GROUP,
        fault=f"kill -9 of redis-server 6 times, append-only file with {fsync}",
        promise="no job lost; next job within 5 s",
        options={"server": partial(redis_server, fsync)},
        short={"rounds": 1} if fsync == "everysec" else None,
        needs="redis-server",
    )
    def body(trial: Trial, *, rounds: int = 6, limit: float = 5) -> None:
        trial.worker(concurrency=20)
        trial.own(concurrency=20)
        producers = [trial.producer(rate=150, own_ids=number > 0) for number in range(3)]
        times = []
        for _ in range(rounds):
            time.sleep(3)
            trial.server.kill()
            time.sleep(1)
            trial.server.start()
            times.append(trial.next_job())
        for one in producers:
            one.signal(15)
            one.wait()
        trial.settle()
        trial.at_most("next_job_s", max(times), limit)


for each in ("everysec", "always"):
    _redis_killed(each)


@scenario(
    "redis_truncated",
    group=GROUP,
    fault="3 power cuts: the last second of the append-only file is lost",
    promise="only jobs of that second are lost",
    options={"server": partial(redis_server, "always")},
    needs="redis-server",
)
def redis_truncated(trial: Trial, *, rounds: int = 3) -> None:
    trial.allowed = Allowed(
        lost="the server forgot them",
        completed_twice="the server forgot that they were completed",
    )
    trial.worker(concurrency=20)
    oldest = 0.0
    for _ in range(rounds):
        producer = trial.producer(rate=400)
        time.sleep(5)
        sizes = _sizes(trial.server.folder)
        time.sleep(SYNC_S)
        cut_ms = (time.time() - SYNC_S) * 1_000
        trial.server.kill()
        producer.kill()
        truncate_to(sizes)
        trial.server.start()
        trial.wait_until(trial.is_settled, within=180, step=0.2, what="the rest to be settled")
        gone = gone_jobs(trial)
        oldest = max([oldest, *((cut_ms - at_ms) / 1_000 for at_ms in gone)])
    trial.figures["gone"] = len(gone_jobs(trial))
    trial.figures["oldest_before_the_cut_s"] = round(max(0.0, oldest), 2)
    trial.expect(oldest < 0.5, f"a job was lost that was {oldest:.2f} s older than the cut")


def _sizes(folder: Path) -> dict[Path, int]:
    return {path: path.stat().st_size for path in folder.glob("appendonlydir/*.incr.aof")}


def truncate_to(sizes: dict[Path, int]) -> None:
    """Cut files off at earlier sizes, as a power loss does with what was not synced."""
    for path, size in sizes.items():
        with path.open("r+b") as file:
            file.truncate(size)


def gone_jobs(trial: Trial) -> list[int]:
    """When the acknowledged jobs that have neither a hash nor a run were added."""
    begun = {line.place for line in trial.lines("B")}
    added = {line.place: line.at_ms for line in trial.lines(ACKNOWLEDGED)}
    missing = [place for place in added if place not in begun]
    pipe = trial.client.pipeline(transaction=False)
    for place in missing:
        pipe.exists(f"{trial.prefix}:{place}")
    there = pipe.execute() if missing else []
    return [added[place] for place, is_there in zip(missing, there, strict=True) if not is_there]


@scenario(
    "redis_stopped",
    group=GROUP,
    fault="SIGSTOP of the server for 40 s, jobs of 10 s running",
    promise="the next job within 5 s of SIGCONT",
)
def redis_stopped(trial: Trial, *, seconds: float = 40, limit: float = 5) -> None:
    trial.worker()
    trial.add("work", count=5, ms=10_000)
    trial.wait_for_starts(5)
    with trial.server.stopped():
        time.sleep(seconds)
    trial.at_most("next_job_s", trial.next_job(), limit)
    trial.figures["settled_s"] = round(trial.settle(), 1)


def fill(trial: Trial) -> None:
    """Leave the server no memory for new data."""
    used = int(trial.client.info("memory")["used_memory"])
    trial.client.config_set("maxmemory", max(1, used - (1 << 20)))


def empty(trial: Trial) -> None:
    """Lift the limit of the server's memory."""
    trial.client.config_set("maxmemory", 0)


@scenario(
    "oom_adds",
    group=GROUP,
    fault="the server's memory is full for 20 s under 200 adds a second",
    promise="acknowledged again within 2 s of room; no job starts twice",
    short={"seconds": 3, "count": 800},
)
def oom_adds(trial: Trial, *, seconds: float = 20, count: int = 2_000, limit: float = 2) -> None:
    trial.worker(concurrency=20)
    producer = trial.producer(rate=200, own_ids=True, count=count)
    trial.wait_for_starts(200)
    fill(trial)
    time.sleep(seconds)
    before = sum(1 for _ in trial.lines(ACKNOWLEDGED))
    empty(trial)
    again = trial.wait_until(
        lambda: sum(1 for _ in trial.lines(ACKNOWLEDGED)) > before, what="an acknowledged add"
    )
    trial.at_most("acknowledged_after_s", again, limit)
    producer.wait(within=90)
    trial.settle()
    trial.check()
    trial.expect(not trial.figures["started_twice"], "a job started twice")


@scenario(
    "oom_drain",
    group=GROUP,
    fault="the server's memory is full for 15 s while 300 jobs wait",
    promise="all complete afterwards, none starts twice",
)
def oom_drain(trial: Trial, *, seconds: float = 15) -> None:
    trial.add("work", count=300)
    fill(trial)
    trial.worker(wait=False)
    time.sleep(seconds)
    trial.figures["completed_while_full"] = trial.count("completed")
    empty(trial)
    trial.settle()
    trial.check()
    trial.expect(not trial.figures["started_twice"], "a job started twice")


@scenario(
    "oom_long",
    group=GROUP,
    fault="the server's memory is full for 50 s while jobs of 45 s run",
    promise="their locks are renewed: each runs once",
)
def oom_long(trial: Trial, *, seconds: float = 50, ms: float = 45_000) -> None:
    trial.worker()
    trial.add("work", count=5, ms=ms)
    trial.wait_for_starts(5)
    fill(trial)
    time.sleep(seconds)
    empty(trial)
    trial.settle()
    trial.check()
    trial.expect(not trial.figures["started_twice"], "a job started twice")


@scenario(
    "flushall",
    group=GROUP,
    fault="FLUSHALL each 5 s for 20 s under load",
    promise="the workers go on: a job added afterwards runs within 5 s",
    short={"seconds": 5, "every": 2},
)
def flushall(trial: Trial, *, seconds: float = 20, every: float = 5) -> None:
    trial.allowed = Allowed(
        lost="FLUSHALL deletes them", completed_twice="an id is used again after FLUSHALL"
    )
    trial.worker(concurrency=20)
    producer = trial.producer(rate=200, own_ids=True, count=int(200 * seconds))
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        time.sleep(every)
        trial.client.flushall()
    producer.wait(within=90)
    trial.at_most("next_job_s", trial.next_job(), 5)
    trial.settle()


@scenario(
    "redis_empty",
    group=GROUP,
    fault="the server without persistence is killed and started empty 3 times",
    promise="the workers go on: the next job within 5 s",
)
def redis_empty(trial: Trial, *, rounds: int = 3) -> None:
    trial.allowed = Allowed(
        lost="the server is empty", completed_twice="an id is used again on the empty server"
    )
    trial.worker()
    times = []
    for _ in range(rounds):
        trial.add("work", count=20, ms=500)
        trial.server.restart()
        times.append(trial.next_job())
    trial.at_most("next_job_s", max(times), 5)
    trial.settle()


def _commands(
    name: str,
    fault: str,
    words: Sequence[Any],
    *,
    every: float,
    limit: float,
    seconds: float = 30,
    is_once: bool = True,
    is_short: bool = False,
    most: int = 1_000_000,
) -> None:
    once = ", no job starts twice" if is_once else ""

    @scenario(
        name,
        group=GROUP,
        fault=fault,
        promise=f"no gap over {limit:g} s{once}",
        options={"seconds": seconds},
        short={"seconds": 4} if is_short else None,
    )
    def body(trial: Trial, *, seconds: float) -> None:
        def act() -> None:
            trial.client.execute_command(*words)

        during_load(trial, act, seconds=seconds, every=every, limit=limit, most=most)
        trial.check()
        if is_once:
            trial.expect(not trial.figures["started_twice"], "a job started twice")


_commands(
    "script_flush", "SCRIPT FLUSH each 20 ms", ("SCRIPT", "FLUSH"), every=0.02, limit=3,
    is_short=True,
)  # fmt: skip
_commands(
    "client_kill", "CLIENT KILL of every connection each 100 ms",
    ("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"), every=0.1, limit=3, is_short=True,
)  # fmt: skip
_commands(
    "client_pause_20", "CLIENT PAUSE for 20 s under load", ("CLIENT", "PAUSE", 20_000),
    every=5, limit=24, most=1,
)  # fmt: skip
_commands(
    "client_pause_45", "CLIENT PAUSE for 45 s under load, longer than the locks",
    ("CLIENT", "PAUSE", 45_000), every=5, limit=60, seconds=60, most=1, is_once=False,
)  # fmt: skip
_commands(
    "debug_sleep", "DEBUG SLEEP 4 each 6 s", ("DEBUG", "SLEEP", 4), every=6, limit=8,
)  # fmt: skip


@scenario(
    "server_timeout",
    group=GROUP,
    fault="the server closes connections that are idle for 1 s, for 30 s",
    promise="no gap over 3 s, no job starts twice",
)
def server_timeout(trial: Trial, *, seconds: float = 30) -> None:
    trial.client.config_set("timeout", 1)
    during_load(trial, lambda: None, seconds=seconds, every=1, rate=3, limit=4)
    trial.check()
    trial.expect(not trial.figures["started_twice"], "a job started twice")
