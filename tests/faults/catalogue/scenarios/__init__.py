"""The scenarios, a module a group."""

from __future__ import annotations

from importlib import import_module
from itertools import groupby

from tests.faults.catalogue.registry import SCENARIOS

MODULES = (
    "load", "killed", "poison", "frozen", "network", "server", "refusals", "deploys", "embedded",
    "clocks", "callers",
)  # fmt: skip
"""In the order of the table."""


def load() -> None:
    """Register every scenario, in the order of the source."""
    for name in MODULES:
        import_module(f"{__name__}.{name}")
    # Decorators of one function are applied from the last to the first.
    groups = [list(group) for _, group in groupby(SCENARIOS.values(), key=lambda one: one.body)]
    SCENARIOS.clear()
    SCENARIOS.update(
        (one.name, one)
        for group in groups
        for one in sorted(group, key=lambda one: one.number, reverse=True)
    )
