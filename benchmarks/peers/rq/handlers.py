"""The handler that RQ's jobs name by its path; the worker's adapter sets what it does."""

from __future__ import annotations

from collections.abc import Callable

from benchmarks.peers.common import Data

PATH = "benchmarks.peers.rq.handlers.handle"

_runs: list[Callable[[Data], None]] = []


def set_run(run: Callable[[Data], None]) -> None:
    """Say what a job does.

    Args:
        run: is given a job's payload.
    """
    _runs[:] = [run]


def handle(data: Data) -> None:
    """Run a job."""
    _runs[0](data)
