"""Connections that break, lie or are thin: a proxy stands between the workers and the server."""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import pairwise

from tests.faults.catalogue.ledger import ENDED
from tests.faults.catalogue.registry import scenario
from tests.faults.catalogue.trial import Trial
from tests.faults.proxy import FaultProxy

from oxcart.errors import StoreError
from oxcart.sync import Queue

GROUP = "Network"
AGAIN_S = 12
"""How soon work goes on after a broken connection."""


def longest_gap(trial: Trial) -> float:
    """The longest time between two ends of runs, in seconds."""
    times = sorted(line.at_ms for line in trial.lines(ENDED))
    return max((after - before for before, after in pairwise(times)), default=0) / 1_000


def _half_open(name: str, cut: Callable[[FaultProxy], object], fault: str, **options: bool) -> None:
    is_busy, own = options.get("is_busy", False), options.get("own", False)

    @scenario(
        f"half_open_{name}",
        group=GROUP,
        fault=f"half-open connections, {fault}; nothing is closed",
        promise=f"the next job runs within {AGAIN_S} s",
        short={} if name in ("idle", "run") else None,
    )
    def body(trial: Trial) -> None:
        proxy = trial.proxy()
        if own:
            trial.own(url=proxy.url)
        else:
            trial.worker(url=proxy.url)
        trial.next_job()
        if is_busy:
            trial.add("work", count=5, ms=3_000)
            trial.wait_for_starts(6)
        proxy.do(cut)
        trial.at_most("next_job_s", trial.next_job(), AGAIN_S)
        trial.settle()
        trial.figures["longest_gap_s"] = round(longest_gap(trial), 1)


_half_open("idle", FaultProxy.half_open, "an idle worker")
_half_open("run", FaultProxy.half_open, "5 jobs running", is_busy=True)
_half_open("own", FaultProxy.half_open, "a program with App.worker", own=True)
_half_open("replies", lambda proxy: proxy.half_open_one_way(replies=True), "only server to client")
_half_open(
    "requests", lambda proxy: proxy.half_open_one_way(replies=False), "only client to server"
)


@scenario(
    "half_open_new_too",
    group=GROUP,
    fault="half-open, and new connections are swallowed too for 20 s",
    promise="the next job runs within 12 s of the end",
)
def half_open_new_too(trial: Trial, *, seconds: float = 20) -> None:
    proxy = trial.proxy()
    trial.worker(url=proxy.url)
    trial.next_job()
    proxy.do(lambda one: setattr(one, "is_swallowing", True))
    proxy.do(FaultProxy.half_open)
    time.sleep(seconds)
    proxy.do(lambda one: setattr(one, "is_swallowing", False))
    trial.at_most("next_job_s", trial.next_job(), AGAIN_S)
    trial.settle()


@scenario(
    "half_open_load",
    group=GROUP,
    fault="8 half-open cuts in 60 s under 300 jobs a second, the producer's connections too",
    promise="no gap over 12 s",
)
def half_open_load(trial: Trial, *, rate: float = 300, seconds: float = 60, cuts: int = 8) -> None:
    proxy = trial.proxy()
    trial.worker(url=proxy.url, concurrency=20)
    producer = trial.producer(rate=rate, count=int(rate * seconds), url=proxy.url, own_ids=True)
    for _ in range(cuts):
        time.sleep(seconds / cuts)
        proxy.do(FaultProxy.half_open)
    producer.wait(within=seconds * 4)
    trial.settle()
    trial.at_most("longest_gap_s", longest_gap(trial), AGAIN_S)


@scenario(
    "half_open_producer",
    group=GROUP,
    fault="the connections of a producer alone are half-open",
    promise="the next add is acknowledged within 10 s",
)
def half_open_producer(trial: Trial, *, limit: float = 10) -> None:
    proxy = trial.proxy()
    trial.worker()
    errors = 0
    with Queue("q", redis_url=proxy.url, prefix=trial.prefix) as queue:
        trial.next_job(queue=queue)
        proxy.do(FaultProxy.half_open)
        started = time.monotonic()
        while True:
            try:
                trial.add("work", queue=queue)
            except StoreError:
                errors += 1
            else:
                break
        trial.at_most("acknowledged_after_s", time.monotonic() - started, limit)
    trial.figures["errors"] = errors
    trial.settle()


@scenario(
    "stall_20",
    group=GROUP,
    fault="the network stands still for 20 s, then everything flows; 5 jobs running",
    promise="the next job runs within 12 s, no job starts twice",
    options={"seconds": 20, "is_once": True},
)
@scenario(
    "stall_50",
    group=GROUP,
    fault="the same for 50 s, longer than the locks",
    promise="the next job runs within 12 s",
    options={"seconds": 50},
)
@scenario(
    "replies_held_75",
    group=GROUP,
    fault="replies are held back for 75 s, longer than the memory of steps; commands arrive",
    promise="the next job runs within 12 s",
    options={"seconds": 75, "replies_only": True},
)
def stall(
    trial: Trial, *, seconds: float, replies_only: bool = False, is_once: bool = False
) -> None:
    proxy = trial.proxy()
    trial.worker(url=proxy.url)
    trial.add("work", count=5, ms=2_000)
    trial.wait_for_starts(5)
    proxy.do(FaultProxy.hold_replies if replies_only else FaultProxy.stall)
    time.sleep(seconds)
    proxy.do(FaultProxy.resume)
    trial.at_most("next_job_s", trial.next_job(), AGAIN_S)
    trial.settle()
    if is_once:
        trial.check()
        trial.expect(not trial.figures["started_twice"], "a job started twice")


@scenario(
    "cut_often",
    group=GROUP,
    fault="every connection is reset each 300 ms for 30 s under 300 jobs a second",
    promise="no gap over 3 s, no job starts twice",
    short={"seconds": 5},
)
def cut_often(trial: Trial, *, rate: float = 300, seconds: float = 30) -> None:
    proxy = trial.proxy()
    trial.worker(url=proxy.url, concurrency=20)
    producer = trial.producer(rate=rate, count=int(rate * seconds), url=proxy.url, own_ids=True)
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        time.sleep(0.3)
        proxy.do(FaultProxy.cut)
    producer.wait(within=seconds * 4 + 60)
    trial.settle()
    trial.at_most("longest_gap_s", longest_gap(trial), 3)
    trial.check()
    trial.expect(not trial.figures["started_twice"], "a job started twice")


@scenario(
    "slow_line",
    group=GROUP,
    fault="each chunk travels for 200 ms in each direction; 2,000 jobs",
    promise="drained within 30 s, no job starts twice",
    short={"count": 300},
)
def slow_line(trial: Trial, *, count: int = 2_000, limit: float = 30) -> None:
    proxy = trial.proxy()
    proxy.do(lambda one: setattr(one, "delay_s", 0.2))
    trial.worker(url=proxy.url, concurrency=50)
    trial.add("work", count=count)
    trial.at_most("drained_s", trial.settle(), limit)
    trial.check()
    trial.expect(not trial.figures["started_twice"], "a job started twice")


def _slow_take(name: str, *, count: int, kilobytes: int, concurrency: int, rate: int) -> None:
    needed = count * kilobytes * 1_000 / rate

    @scenario(
        f"slow_take_{name}",
        group=GROUP,
        fault=f"{count} jobs of {kilobytes} kB, concurrency {concurrency}, {rate / 1e6:g} MB/s",
        promise=f"all complete within twice the {needed:.0f} s that the line needs, plus 15 s",
    )
    def body(trial: Trial) -> None:
        proxy = trial.proxy()
        trial.worker(url=proxy.url, concurrency=concurrency)
        proxy.do(lambda one: setattr(one, "bytes_per_s", rate))
        started = time.monotonic()
        for _ in range(count):
            trial.add("work", fill="f" * kilobytes * 1_000)
        trial.settle(within=4 * needed + 60)
        trial.at_most("settled_s", time.monotonic() - started, 2 * needed + 15)
        trial.check()
        trial.expect(not trial.figures["started_twice"], "a job started twice")


_slow_take("10", count=20, kilobytes=1_500, concurrency=10, rate=1_000_000)
_slow_take("50", count=50, kilobytes=400, concurrency=50, rate=1_000_000)
_slow_take("mid", count=40, kilobytes=300, concurrency=20, rate=500_000)
_slow_take("100_small", count=600, kilobytes=100, concurrency=200, rate=1_250_000)
_slow_take("1", count=6, kilobytes=3_000, concurrency=1, rate=1_000_000)


@scenario(
    "slow_take_then_fast",
    group=GROUP,
    fault="20 jobs of 1.5 MB: 60 s of a line of 0.2 MB/s, then a fast worker",
    promise="all complete, none fails without having run",
)
def slow_take_then_fast(trial: Trial, *, seconds: float = 60) -> None:
    proxy = trial.proxy()
    command = trial.worker(url=proxy.url)
    proxy.do(lambda one: setattr(one, "bytes_per_s", 200_000))
    for _ in range(20):
        trial.add("work", fill="f" * 1_500_000)
    time.sleep(seconds)
    trial.figures["runs_on_the_thin_line"] = trial.starts()
    trial.worker()
    command.process.terminate()
    trial.settle(within=180)


@scenario(
    "slow_add_many",
    group=GROUP,
    fault="add_many of 200 jobs of 50 kB over 1 MB/s",
    promise="all are acknowledged within 40 s",
)
def slow_add_many(trial: Trial, *, limit: float = 40) -> None:
    proxy = trial.proxy()
    trial.worker()
    with Queue("q", redis_url=proxy.url, prefix=trial.prefix) as queue:
        trial.next_job(queue=queue)
        proxy.do(lambda one: setattr(one, "bytes_per_s", 1_000_000))
        started = time.monotonic()
        trial.add("work", count=200, queue=queue, fill="f" * 50_000)
        trial.at_most("acknowledged_after_s", time.monotonic() - started, limit)
    trial.settle()


@scenario(
    "slow_result",
    group=GROUP,
    fault="a result of 8 MB over 1 MB/s beside 30 jobs",
    promise="all complete within 40 s, no job starts twice",
)
def slow_result(trial: Trial, *, limit: float = 40) -> None:
    proxy = trial.proxy()
    trial.worker(url=proxy.url)
    proxy.do(lambda one: setattr(one, "bytes_per_s", 1_000_000))
    trial.add("work", result=8_000_000)
    trial.add("work", count=30, ms=100)
    trial.at_most("settled_s", trial.settle(), limit)
    trial.check()
    trial.expect(not trial.figures["started_twice"], "a job started twice")
