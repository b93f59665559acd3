"""Everything that can be replayed, registered by importing it."""

from __future__ import annotations

from tests.interop import older_release
from tests.interop.registry import OLDER_RELEASE, OPERATIONS, Operation
from tests.interop.steps import (
    adding,
    details,
    flows,
    limiting,
    moving,
    outside,
    reading,
    scheduling,
    watching,
    working,
)

__all__ = [
    "OLDER_RELEASE",
    "OPERATIONS",
    "Operation",
    "adding",
    "details",
    "flows",
    "limiting",
    "moving",
    "older_release",
    "outside",
    "reading",
    "scheduling",
    "watching",
    "working",
]
