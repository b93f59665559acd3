"""The scenarios, a module a group."""

from __future__ import annotations

from importlib import import_module

MODULES = (
    "load", "killed", "poison", "frozen", "network", "server", "refusals", "deploys", "embedded",
    "clocks", "callers",
)  # fmt: skip
"""In the order of the table."""


def load() -> None:
    """Register every scenario."""
    for name in MODULES:
        import_module(f"{__name__}.{name}")
