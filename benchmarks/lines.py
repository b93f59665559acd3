"""The lines to reach: what oxcart has to come to beside its peers, and whether it does."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from benchmarks.summary import Place, Summary
from benchmarks.systems import OURS, System, all_systems

OXCART, NODE, FLOOR, BULLMQ_PYTHON = "oxcart", "bullmq-node", "floor", "bullmq-python"
Value = Callable[[Summary], float | None]

RATE, ADDED = "process_per_s", "enqueue_per_s"
NOOP = ("noop", "", 100)
BULK, CALLERS = ("adding", "bulk", 100), ("adding", "callers", 100)


@dataclass(frozen=True)
class Line:
    """A line to reach.

    Attributes:
        what: what is measured.
        wanted: what it must come to, in words.
        bound: the same as a number.
        value: reads the figure; ``None`` where it was not measured.
        is_ceiling: the figure must stay under the bound.
        unit: what follows the figure.
    """

    what: str
    wanted: str
    bound: float
    value: Value
    is_ceiling: bool = False
    unit: str = "x"


@dataclass(frozen=True)
class Verdict:
    """A line with what was measured.

    Attributes:
        line: the line.
        value: the figure.
        is_met: whether it reaches the line.
    """

    line: Line
    value: float
    is_met: bool


def judge(summary: Summary) -> Iterator[Verdict]:
    """Every line that was measured."""
    for line in LINES:
        value = line.value(summary)
        if value is not None:
            is_met = value <= line.bound if line.is_ceiling else value >= line.bound
            yield Verdict(line, value, is_met)


def _beside(place: Place, key: str, other: str) -> Value:
    """Oxcart's median by another system's."""

    def value(summary: Summary) -> float | None:
        return _ratio(summary.median(place, OXCART, key), summary.median(place, other, key))

    return value


def _beside_python(place: Place, key: str) -> Value:
    """Oxcart's median by the fastest Python peer's on the same kind of server."""

    def value(summary: Summary) -> float | None:
        peers = [_median_or_zero(summary, place, peer.name, key) for peer in _python_peers()]
        return _ratio(summary.median(place, OXCART, key), max(peers, default=0.0))

    return value


def _beside_best(place: Place, key: str) -> Value:
    """Oxcart's median by the smallest of all peers'."""

    def value(summary: Summary) -> float | None:
        peers = [name for name in summary.systems(place) if name not in OURS]
        medians = [summary.median(place, name, key) for name in peers]
        found = [figure for figure in medians if figure]
        return _ratio(summary.median(place, OXCART, key), min(found, default=0.0))

    return value


def _between(place: Place, base: Place, key: str) -> Value:
    """Oxcart in one case by oxcart in another."""

    def value(summary: Summary) -> float | None:
        return _ratio(summary.median(place, OXCART, key), summary.median(base, OXCART, key))

    return value


def _own(place: Place, key: str, *, scale: float = 1.0) -> Value:
    """Oxcart's median."""

    def value(summary: Summary) -> float | None:
        figure = summary.median(place, OXCART, key)
        return None if figure is None else figure * scale

    return value


def _ratio(ours: float | None, theirs: float | None) -> float | None:
    return None if ours is None or not theirs else ours / theirs


def _median_or_zero(summary: Summary, place: Place, system: str, key: str) -> float:
    return summary.median(place, system, key) or 0.0


def _python_peers() -> list[System]:
    return [
        system
        for system in all_systems()
        if not system.is_node
        and system.name not in OURS
        and system.server == "redis"
        and system.processes == 1
    ]


LATENCY, LATENESS = ("latency", "", 100), ("lateness", "", 100)
FEW, MANY = ("backlog", "1k", 100), ("backlog", "1M", 100)
KEEP, REMOVE = ("retention", "keep", 100), ("retention", "remove", 100)
AT_ALL = 1 / 1.15

LINES = (
    Line("noop, concurrency 100", "2.5 x bullmq-node", 2.5, _beside(NOOP, RATE, NODE)),
    Line("noop, concurrency 100", "6 x the fastest Python peer", 6, _beside_python(NOOP, RATE)),
    Line("noop, concurrency 100", "15 x bullmq-python", 15, _beside(NOOP, RATE, BULLMQ_PYTHON)),
    Line("noop, concurrency 100", "0.35 of the floor", 0.35, _beside(NOOP, RATE, FLOOR)),
    Line("noop, concurrency 10", "2.5 x bullmq-node", 2.5, _beside(("noop", "", 10), RATE, NODE)),
    Line("noop, concurrency 1", "1.3 x bullmq-node", 1.3, _beside(("noop", "", 1), RATE, NODE)),
    Line("`add_many`", "4 x bullmq-node's `addBulk`", 4, _beside(BULK, ADDED, NODE)),
    Line("`add` from 100 coroutines", "2 x bullmq-node", 2, _beside(CALLERS, ADDED, NODE)),
    Line(
        "`add` from 100 coroutines",
        "5 x the fastest Python peer",
        5,
        _beside_python(CALLERS, ADDED),
    ),
    Line("io, concurrency 100", "0.95 of the floor", 0.95, _beside(("io", "", 100), RATE, FLOOR)),
    Line("payload of 10 kB", "2 x bullmq-node", 2, _beside(("payload", "", 100), RATE, NODE)),
    Line(
        "latency of an idle worker, p50",
        "the best peer's",
        1,
        _beside_best(LATENCY, "p50_us"),
        is_ceiling=True,
    ),
    Line(
        "latency of an idle worker, p99",
        "the best peer's",
        1,
        _beside_best(LATENCY, "p99_us"),
        is_ceiling=True,
    ),
    Line(
        "lateness of a delayed job, p50",
        "under 2 ms",
        2,
        _own(LATENESS, "p50_us", scale=1e-3),
        is_ceiling=True,
        unit="ms",
    ),
    Line(
        "lateness of a delayed job, p99",
        "under 10 ms",
        10,
        _own(LATENESS, "p99_us", scale=1e-3),
        is_ceiling=True,
        unit="ms",
    ),
    Line("adding at 1M waiting", "within 1.15 x of 1k", AT_ALL, _between(MANY, FEW, ADDED)),
    Line("draining at 1M waiting", "within 1.15 x of 1k", AT_ALL, _between(MANY, FEW, RATE)),
    Line(
        "longest call, 100,000 jobs due at once",
        "under 20 ms",
        20,
        _own(("promotion", "", 100), "longest_call_us", scale=1e-3),
        is_ceiling=True,
        unit="ms",
    ),
    Line(
        "bytes a waiting job",
        "no more than bullmq-node",
        1,
        _beside(("memory", "", 100), "bytes_per_job", NODE),
        is_ceiling=True,
    ),
    Line(
        "worker's memory after 100,000 jobs",
        "within 5 MB",
        5,
        _own(("rss", "", 100), "rss_growth_mb"),
        is_ceiling=True,
        unit="MB",
    ),
    Line(
        "idle worker",
        "under 1 command/s",
        1,
        _own(("idle", "", 100), "calls_per_s"),
        is_ceiling=True,
        unit="/s",
    ),
    Line(
        "keeping 1,000 jobs and metrics",
        "0.7 of removing at once",
        0.7,
        _between(KEEP, REMOVE, RATE),
    ),
    Line(
        "`import oxcart`",
        "under 0.5 of `redis.asyncio`",
        0.5,
        _own(("imports", "", 1), "of_redis"),
        is_ceiling=True,
    ),
    Line(
        "worker command to first job",
        "under 1 s",
        1,
        _own(("startup", "", 10), "start_ms", scale=1e-3),
        is_ceiling=True,
        unit="s",
    ),
)
