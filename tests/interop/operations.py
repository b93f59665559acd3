"""Everything that can be replayed, registered by importing it."""

from __future__ import annotations

from tests.interop import older_release
from tests.interop.registry import OLDER_RELEASE, OPERATIONS, Operation
from tests.interop.steps import adding, details, moving, outside, reading, working

__all__ = [
    "OLDER_RELEASE",
    "OPERATIONS",
    "Operation",
    "adding",
    "details",
    "moving",
    "older_release",
    "outside",
    "reading",
    "working",
]
