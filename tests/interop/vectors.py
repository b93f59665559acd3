"""The wire vectors: recordings of what Node BullMQ leaves in Redis."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from oxcart import JobState

ROOT = Path(__file__).parents[2]
FOLDER = Path(os.environ.get("OXCART_WIRE_VECTORS") or ROOT.parent / "shared" / "wire-vectors")

Step = dict[str, Any]

STATES = {
    "wait": JobState.WAITING,
    "waiting": JobState.WAITING,
    "active": JobState.ACTIVE,
    "delayed": JobState.DELAYED,
    "prioritized": JobState.PRIORITIZED,
    "waiting-children": JobState.WAITING_CHILDREN,
    "completed": JobState.COMPLETED,
    "failed": JobState.FAILED,
}
"""Both of BullMQ's names of each state."""


@dataclass(frozen=True)
class Vector:
    """One recording.

    Attributes:
        name: its file's name, without the ending.
        steps: what was done, in order, each with its clock and its result.
        keys: every key in the end, normalised.
        events: every stream's entries in the end, normalised.
        exact: the same with raw values.
        is_hazard: it shows a defect of the library: not to be imitated, and not to break on.
    """

    name: str
    steps: list[Step]
    keys: dict[str, Any]
    events: dict[str, Any]
    exact: dict[str, Any]
    is_hazard: bool


def load_all() -> list[Vector]:
    """Read all vectors of the folder; none if it is not there."""
    return [_load(path) for path in sorted(FOLDER.glob("*.json"))]


def _load(path: Path) -> Vector:
    raw = json.loads(path.read_text(encoding="utf-8"))
    return Vector(
        name=path.stem,
        steps=raw["scenario"],
        keys=raw["keys"],
        events=raw.get("events", {}),
        exact=raw.get("exact", {}),
        is_hazard=raw.get("hazard", False),
    )
