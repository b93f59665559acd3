"""The event loops that the core suites run on: asyncio's own, and uvloop, which the command uses.

A suite's ``conftest.py`` imports the hook; then each of its asyncio tests runs once on each loop
and has the loop's name in its id: ``-k "not uvloop"`` leaves one run of each.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

import uvloop

LOOPS: Mapping[str, Callable[[], asyncio.AbstractEventLoop]] = {
    "asyncio": asyncio.new_event_loop,
    "uvloop": uvloop.new_event_loop,
}


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Run each asyncio test on each loop."""
    return LOOPS


def running_loop_name() -> str:
    """The name in ``LOOPS`` of the loop that the caller runs on."""
    kind = type(asyncio.get_running_loop()).__module__
    return "uvloop" if kind.startswith("uvloop") else "asyncio"
