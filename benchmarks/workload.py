"""What a workload is: a name, its cases, and how one system is measured in one of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from benchmarks.runner import Bench

PAIR = "oxcart,bullmq-node,floor"
"""What runs where a comparison with every peer says nothing more."""


@dataclass(frozen=True)
class Case:
    """One size of a workload.

    Attributes:
        jobs: how many jobs.
        concurrency: how many run at a time.
        name: tells the cases of a workload apart; "" where the concurrency does.
        options: what the adapters are told beyond that.
    """

    jobs: int
    concurrency: int = 100
    name: str = ""
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Figure:
    """A figure that a workload yields.

    Attributes:
        key: in the result's object.
        title: in a table's head.
        is_less_better: for times and sizes.
    """

    key: str
    title: str
    is_less_better: bool = False


@dataclass(frozen=True)
class Workload:
    """A workload.

    Attributes:
        name: as on the command line.
        about: what is measured, one sentence.
        cases: its sizes in a full run.
        figures: what it yields.
        measure: measures a system in a case.
        systems: which take part when none are named; ``all``, or a list.
        only: nothing else can take part; empty leaves it to ``needs``.
        needs: a system whose ``LACKS`` has one of these is left out.
        smoke_jobs: how many jobs when it is only tried out.
        smoke_cases: the numbers of the cases that are run then.
        repeat: how many repetitions in a full run.
        is_for_redis: whether it looks into Redis; other systems are left out.
        is_durable: whether the server keeps an append-only file.
    """

    name: str
    about: str
    cases: tuple[Case, ...]
    figures: tuple[Figure, ...]
    measure: Callable[[Bench, Case], dict[str, Any]]
    systems: str = "all"
    only: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    smoke_jobs: int = 100
    smoke_cases: tuple[int, ...] = (0,)
    repeat: int = 5
    is_for_redis: bool = False
    is_durable: bool = False


PROCESSED = Figure("process_per_s", "jobs/s")
ENQUEUED = Figure("enqueue_per_s", "added/s")
WORKER_CPU = Figure("worker_cpu_us", "worker CPU µs a job", is_less_better=True)
SERVER_CPU = Figure("server_cpu_us", "server CPU µs a job", is_less_better=True)
DRAINED = (PROCESSED, ENQUEUED, WORKER_CPU, SERVER_CPU)
LATENCIES = (
    Figure("p50_us", "p50 µs", is_less_better=True),
    Figure("p95_us", "p95 µs", is_less_better=True),
    Figure("p99_us", "p99 µs", is_less_better=True),
    Figure("max_us", "max µs", is_less_better=True),
)
