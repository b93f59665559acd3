"""The workloads, one a file, in the order of the report."""

from __future__ import annotations

from importlib import import_module

from benchmarks.workload import Workload

NAMES = (
    "noop", "adding", "io", "payload", "latency", "lateness", "backlog", "promotion", "memory",
    "rss", "idle", "retention", "priorities", "flows", "durable", "processes", "shared", "imports",
    "startup",
)  # fmt: skip


class UnknownWorkload(Exception):
    """There is no such workload; says which there are."""


def find_workloads(names: str) -> list[Workload]:
    """The workloads of a comma-separated list; ``all`` names every one.

    Raises:
        UnknownWorkload: one of them does not exist.
    """
    wanted = NAMES if names == "all" else tuple(name.strip() for name in names.split(","))
    unknown = [name for name in wanted if name not in NAMES]
    if unknown:
        raise UnknownWorkload(f"no workload {', '.join(unknown)}; there are {', '.join(NAMES)}")
    return [_load(name) for name in wanted]


def _load(name: str) -> Workload:
    workload: Workload = import_module(f"benchmarks.workloads.{name}").WORKLOAD
    return workload
