"""The scenarios, a module a group."""

from __future__ import annotations

from importlib import import_module

MODULES = ("load", "killed", "poison")
"""In the order of the table."""


def load() -> None:
    """Register every scenario."""
    for name in MODULES:
        import_module(f"{__name__}.{name}")
